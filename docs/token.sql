-- Tokens: the same value gives the same token, and nobody without the key can
-- say which value that was. Run this once as the owner of the database, with
-- psql -v ON_ERROR_STOP=1 -f token.sql, name sekisho.token in the config
-- (catalog: functions: token), and let the gate's logins use it:
--
--   grant usage on schema sekisho to crm_analyst;
--   grant execute on function sekisho.token(text) to crm_analyst;
--
-- The function runs as its owner, so that those logins cannot read the key. The
-- gate never lets a client call it. Who logs in to the database without the gate
-- as one of them can call it, and so try values: see docs/policy.md.
begin;
create schema if not exists sekisho;
revoke all on schema sekisho from public;

-- One row: the key of HMAC-SHA256, padded (RFC 2104).
create table if not exists sekisho.token_key (inner_pad bytea not null, outer_pad bytea not null);
revoke all on sekisho.token_key from public;
do $$
declare
  key bytea := '\x';
  inner_pad bytea := '\x';
  outer_pad bytea := '\x';
begin
  if exists (select from sekisho.token_key) then
    return; -- another key would make other tokens
  end if;
  for i in 1..2 loop
    key := key || sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
  end loop;
  for i in 0..63 loop
    inner_pad := inner_pad || set_byte('\x00', 0, get_byte(key, i) # 54);
    outer_pad := outer_pad || set_byte('\x00', 0, get_byte(key, i) # 92);
  end loop;
  insert into sekisho.token_key values (inner_pad, outer_pad);
end $$;

create or replace function sekisho.token(value text) returns text
language sql stable strict parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
  select left(encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(value, 'UTF8'))), 'hex'), 32)
  from sekisho.token_key k
$$;
revoke all on function sekisho.token(text) from public;
commit;
