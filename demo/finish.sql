-- The store after its members, in steps. What is parted by "beside" may run
-- side by side: indexes on one table may, its constraints and statistics may not.
set role crm_owner;
create index on crm.member (email);
create index on crm.member (name_kana);
-- beside
set role crm_owner;
create index on crm.member (phone);
create index on crm.member (name_latin);
create index on crm.passport (passport_no);
-- then
set role crm_owner;
alter table crm.passport add foreign key (member_no) references crm.member;
alter table crm.loyalty_account add foreign key (member_no) references crm.member;
alter table crm.credential add foreign key (member_no) references crm.member;
alter table crm.card add foreign key (member_no) references crm.member;
-- then
set role crm_owner;
analyze crm.member;
-- beside
set role crm_owner;
analyze crm.passport, crm.loyalty_account, crm.credential, crm.card, crm.airport, crm.fare, crm.flight, crm.app_setting, crm.partner;
grant usage on schema crm to app_callcentre, app_batch, app_analyst, sekisho_reader;
grant select on crm.airport, crm.fare, crm.flight, crm.partner, crm.app_setting to app_callcentre, app_batch, app_analyst;
grant select on crm.member, crm.passport, crm.loyalty_account to app_callcentre, app_batch;
grant select on crm.credential, crm.card to app_batch;
grant select on crm.member, crm.loyalty_account to app_analyst;
grant select on crm.member, crm.passport, crm.loyalty_account to sekisho_reader;
