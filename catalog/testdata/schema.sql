-- The database that the tests judge statements against.
CREATE SCHEMA crm;
CREATE SCHEMA app;

CREATE TABLE crm.member (
	member_no integer PRIMARY KEY,
	name text NOT NULL,
	email text,
	email_upper text GENERATED ALWAYS AS (upper(email)) STORED,
	points integer NOT NULL DEFAULT 0,
	joined date NOT NULL,
	status text NOT NULL DEFAULT 'blue',
	partner text
);
CREATE TABLE crm.passport (
	passport_id integer PRIMARY KEY,
	member_no integer REFERENCES crm.member ON DELETE CASCADE,
	number text NOT NULL,
	"valid until" date,
	score integer
);
-- A year for each partition.
CREATE TABLE crm.booking (booking_id integer, member_no integer, flown date, route text) PARTITION BY RANGE (flown);
CREATE TABLE crm.booking_2013 PARTITION OF crm.booking FOR VALUES FROM ('2013-01-01') TO ('2014-01-01');
CREATE TABLE crm.booking_2014 PARTITION OF crm.booking FOR VALUES FROM ('2014-01-01') TO ('2015-01-01');
CREATE TABLE crm.member_archive (archived date) INHERITS (crm.member);
-- A parent of which only a child is listed as protected.
CREATE TABLE app.trip (trip_id integer, member_no integer, place text) PARTITION BY LIST (place);
CREATE TABLE app.trip_tokyo PARTITION OF app.trip FOR VALUES IN ('tokyo');
CREATE TABLE app.trip_osaka PARTITION OF app.trip FOR VALUES IN ('osaka');
CREATE TABLE crm.secret_question (staff_no integer, question text);

-- Nobody's data.
CREATE TABLE app.route (code text PRIMARY KEY, miles integer, note text);
CREATE TABLE app.note (id serial PRIMARY KEY, member_no integer, body text);
CREATE TABLE app.audited (id integer, body text);
CREATE TABLE app.ruled (id integer, body text);
CREATE TABLE app.office (code text PRIMARY KEY);
ALTER TABLE crm.passport ADD COLUMN office text REFERENCES app.office ON UPDATE CASCADE;
CREATE TABLE app.complaint (id integer PRIMARY KEY, member_no integer REFERENCES crm.member, body text);
CREATE TABLE app.complaint_reply (id integer, complaint integer REFERENCES app.complaint ON DELETE CASCADE);
CREATE TABLE app.stand (code text) PARTITION BY LIST (code);
CREATE TABLE app.stand_a PARTITION OF app.stand (FOREIGN KEY (code) REFERENCES app.office) FOR VALUES IN ('a');
CREATE TABLE app.seat (code text, member_no integer) PARTITION BY LIST (code);
CREATE TABLE app.seat_a PARTITION OF app.seat (FOREIGN KEY (member_no) REFERENCES crm.member) FOR VALUES IN ('a');
CREATE VIEW app.complaint_list AS SELECT id, member_no FROM app.complaint;

-- The same name twice, once protected.
CREATE SCHEMA other;
CREATE TABLE other.passport (passport_id integer, member_no integer);

CREATE VIEW app.member_mail AS SELECT email FROM crm.member;
CREATE VIEW app.member_mail_again AS SELECT email AS x FROM app.member_mail;
CREATE MATERIALIZED VIEW app.member_count AS SELECT count(*) AS n FROM crm.member;
CREATE VIEW app.member_card AS SELECT member_no, name, email FROM crm.member;
CREATE VIEW app.member_total AS SELECT count(*) AS n FROM crm.member;
CREATE VIEW app.server_settings AS SELECT name, setting FROM pg_settings;
CREATE VIEW app.server_settings_again AS SELECT * FROM app.server_settings;
CREATE VIEW app.route_list AS SELECT code, miles FROM app.route;
CREATE VIEW app.statistics AS SELECT tablename, most_common_vals::text AS values FROM pg_stats;
CREATE VIEW app.dynamic AS SELECT query_to_xml('select * from crm.member', true, true, '') AS x;

CREATE FUNCTION app.peek(n integer) RETURNS text LANGUAGE sql AS 'SELECT email FROM crm.member WHERE member_no = n';
CREATE FUNCTION app.peek_row(m crm.member) RETURNS text LANGUAGE sql AS 'SELECT m.email';
CREATE FUNCTION app.distance(a text, b text) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION app.initcap(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', t; RETURN t; END $$;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION app.spy(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', a; RETURN true; END $$;
CREATE FUNCTION app.joined(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE AGGREGATE app.everything(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE OPERATOR app.<~> (LEFTARG = text, RIGHTARG = text, FUNCTION = app.spy);
CREATE VIEW app.peeking AS SELECT app.peek(1) AS x;
CREATE TRIGGER touch BEFORE UPDATE ON app.audited FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE RULE twice AS ON INSERT TO app.ruled DO ALSO INSERT INTO app.note (body) SELECT email FROM crm.member;
CREATE VIEW app.office_list AS SELECT code FROM app.office;
CREATE VIEW app.audited_list AS SELECT * FROM app.audited;
CREATE TYPE app.colour AS ENUM ('blue', 'green');
CREATE DOMAIN app.plain_text AS text;
CREATE DOMAIN app.leaky AS text CHECK (app.joined(VALUE));
CREATE TABLE app.leaking (x app.leaky);
CREATE TYPE app.holder AS (x app.leaky);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE app.remote (email text) SERVER elsewhere;
CREATE PROCEDURE app.work() LANGUAGE sql AS 'SELECT 1';

INSERT INTO crm.member (member_no, name, email, points, joined, status, partner)
	SELECT i, 'name' || i % 7, CASE WHEN i % 5 > 0 THEN 'u' || i || '@example.jp' END, i * 37 % 100, date '2010-01-01' + i,
		(ARRAY['blue', 'green'])[1 + i % 2], CASE WHEN i % 3 > 0 THEN 'p' || i % 3 END FROM generate_series(1, 40) i;
INSERT INTO crm.passport (passport_id, member_no, number, "valid until", score)
	SELECT 100 + i, CASE WHEN i % 4 > 0 THEN i END, 'TK' || i, CASE i % 6 WHEN 0 THEN 'infinity' WHEN 1 THEN NULL ELSE date '2015-01-01' + i END, i % 9
	FROM generate_series(1, 30) i;
INSERT INTO crm.booking SELECT i, 1 + i % 40, date '2013-06-01' + i * 5, 'r' || i % 4 FROM generate_series(1, 60) i;
INSERT INTO app.route SELECT 'r' || i, i * 100, 'note' || i FROM generate_series(0, 5) i;
INSERT INTO app.note (member_no, body) SELECT i, 'body' || i FROM generate_series(1, 20) i;
