package demo

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

const (
	// Database holds the store, in the schema crm.
	Database = "customers"
	// CallCentre, Batch and Analyst are the roles that applications use.
	CallCentre = "app_callcentre"
	Batch      = "app_batch"
	Analyst    = "app_analyst"
	// Reader is the role with which sekisho reads the catalog and the roster.
	Reader = "sekisho_reader"

	// fillVersion changes with the schema or the generator, so that an older
	// store is filled again.
	fillVersion = 1
)

// Roles are the roles that can sign in to the store. None owns anything, and
// none can make anything.
var Roles = [...]string{CallCentre, Batch, Analyst, Reader}

//go:embed schema.sql
var schemaSQL string

//go:embed finish.sql
var finishSQL string

// FillConfig says how many members who do not exist the store shall hold.
type FillConfig struct {
	Members int // up to 20 million
	Seed    uint64
	// Progress may be nil. It is called from one goroutine at a time, with a
	// share of the members that stands for the share of the work.
	Progress func(done, total int)
}

// Fill makes the store hold exactly the members 0 to Members-1 of a seed, and
// returns at once if it does. The mark of a filled store is written last: a
// fill that was cut short starts anew. Roles and passwords are set each time.
func Fill(ctx context.Context, c *Cluster, cfg FillConfig) error {
	if cfg.Members < 1 || cfg.Members > 20_000_000 {
		return fmt.Errorf("filling the demo store: %d members: choose 1 to 20000000", cfg.Members)
	}
	if err := fill(ctx, c, cfg); err != nil {
		return fmt.Errorf("filling the demo store: %w", err)
	}
	return nil
}

func fill(ctx context.Context, c *Cluster, cfg FillConfig) error {
	if err := makeRoles(ctx, c); err != nil {
		return err
	}
	mark := fmt.Sprintf("%d|%d|%d", fillVersion, cfg.Seed, cfg.Members)
	filled, err := isFilled(ctx, c, Database, mark)
	if err != nil || filled {
		return err
	}
	// CREATE DATABASE cannot stand in a transaction, so each in a call of its own.
	for _, s := range []string{
		"drop database if exists " + Database + " with (force)",
		"create database " + Database,
		"revoke all on database postgres, template1, " + Database + " from public;\n" +
			"grant connect on database " + Database + " to " + strings.Join(Roles[:], ", ") + ";\n" +
			"alter database " + Database + " set search_path = crm",
	} {
		if _, err := c.SQL(ctx, "postgres", s); err != nil {
			return err
		}
	}
	if _, err := c.SQL(ctx, Database, schemaSQL); err != nil {
		return err
	}
	progress := func(percent int) {
		if cfg.Progress != nil {
			cfg.Progress(cfg.Members*percent/100, cfg.Members)
		}
	}
	if err := load(ctx, c, cfg.Members, cfg.Seed, progress); err != nil {
		return err
	}
	for n, step := range strings.Split(finishSQL, "-- then\n") {
		if err := inParallel(ctx, strings.Split(step, "-- beside\n"), func(ctx context.Context, script string) error {
			_, err := c.SQL(ctx, Database, script)
			return err
		}); err != nil {
			return err
		}
		progress(min(100, 45+25*(n+1)))
	}
	_, err = c.SQL(ctx, Database, fmt.Sprintf("create schema demo; create table demo.filled as select '%s'::text as mark", mark))
	return err
}

func makeRoles(ctx context.Context, c *Cluster) error {
	var s strings.Builder
	s.WriteString("do $$ begin create role crm_owner nologin; exception when duplicate_object then null; end $$;\n")
	for _, role := range Roles {
		password, err := c.Password(role)
		if err != nil {
			return err
		}
		fmt.Fprintf(&s, "do $$ begin create role %s; exception when duplicate_object then null; end $$;\n", role)
		fmt.Fprintf(&s, "alter role %s login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit password '%s';\n", role, password)
	}
	_, err := c.SQL(ctx, "postgres", s.String())
	return err
}

func isFilled(ctx context.Context, c *Cluster, database, mark string) (bool, error) {
	found, err := c.SQL(ctx, "postgres", "select 1 from pg_database where datname = '"+database+"'")
	if err != nil || found == "" {
		return false, err
	}
	found, err = c.SQL(ctx, database, "select to_regclass('demo.filled') is not null")
	if err != nil || found != "t" {
		return false, err
	}
	found, err = c.SQL(ctx, database, "select mark from demo.filled")
	return found == mark, err
}

// A table is loaded in the transaction that makes it, so that PostgreSQL
// writes each row once and needs no log of it.
type table struct {
	name, create, key string
	rows              int                                       // how often row is called
	row               func(b []byte, seed uint64, i int) []byte // appends one line in COPY's text form, or nothing
}

// load fills the tables about members. It is half of the work: progress goes
// from 0 to 45 percent.
func load(ctx context.Context, c *Cluster, members int, seed uint64, progress func(percent int)) error {
	tables := tablesOf(members)
	steps := 0
	for _, t := range tables {
		steps += t.rows
	}
	var mu sync.Mutex
	done := 0
	advance := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		before := 45 * done / steps
		done += n
		if now := 45 * done / steps; now > before {
			progress(now)
		}
	}
	return inParallel(ctx, tables, func(ctx context.Context, t table) error {
		if err := loadOne(ctx, c, t, seed, advance); err != nil {
			return fmt.Errorf("table crm.%s: %w", t.name, err)
		}
		return nil
	})
}

// loadOne feeds psql one script: the table, its rows, its key.
func loadOne(ctx context.Context, c *Cluster, t table, seed uint64, advance func(int)) error {
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 1<<20)
		fmt.Fprintf(out, "begin;\nset local role crm_owner;\ncreate table crm.%s (%s);\ncopy crm.%s from stdin with (freeze);\n", t.name, t.create, t.name)
		const chunk = 4096
		var b []byte
		var err error
		for from := 0; from < t.rows && err == nil; from += chunk {
			until := min(from+chunk, t.rows)
			b = b[:0]
			for i := from; i < until; i++ {
				b = t.row(b, seed, i)
			}
			_, err = out.Write(b)
			advance(until - from)
		}
		fmt.Fprintf(out, "\\.\nalter table crm.%s add primary key (%s);\ncommit;\n", t.name, t.key)
		w.CloseWithError(errors.Join(err, out.Flush()))
	}()
	err := c.psql(ctx, Database, r, io.Discard, "-f", "-")
	r.CloseWithError(errors.New("psql has ended"))
	return err
}

// inParallel does two at a time, in order, and stops at the first error.
func inParallel[T any](ctx context.Context, all []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan T)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for one := range work {
				if err := do(ctx, one); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, one := range all {
		select {
		case work <- one:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// tablesOf lists what depends on the seed, the longest first.
func tablesOf(members int) []table {
	return []table{
		{"member", `member_no bigint not null, name_kanji text, name_kana text, name_latin text not null, sex char(1) not null,
			birth_date date not null, postal_code text not null, address text not null, country char(2) not null, email text,
			phone text not null, workplace text, department text, partner_code text references crm.partner, joined_on date not null`,
			"member_no", members, appendMember},
		{"credential", "member_no bigint not null, password_hash text not null", "member_no", members,
			func(b []byte, seed uint64, i int) []byte {
				b = append(strconv.AppendInt(b, MemberNo(seed, i), 10), '\t')
				return append(appendCredential(b, seed, i), '\n')
			}},
		{"loyalty_account", "member_no bigint not null, miles bigint not null, tier text not null", "member_no", members,
			func(b []byte, seed uint64, i int) []byte {
				l := LoyaltyOf(seed, i)
				b = append(strconv.AppendInt(b, l.MemberNo, 10), '\t')
				b = append(strconv.AppendInt(b, l.Miles, 10), '\t')
				return append(append(b, l.Tier...), '\n')
			}},
		{"card", "member_no bigint not null, card_no text not null, expires date not null", "member_no", members,
			func(b []byte, seed uint64, i int) []byte {
				k, ok := CardOf(seed, i)
				if !ok {
					return b
				}
				b = append(strconv.AppendInt(b, k.MemberNo, 10), '\t')
				b = append(append(b, k.No...), '\t')
				return append(k.Expires.append(b), '\n')
			}},
		{"passport", `member_no bigint not null, passport_no text not null, country char(2) not null, issued_on date not null,
			expires_on date not null`, "member_no", members,
			func(b []byte, seed uint64, i int) []byte {
				p, ok := PassportOf(seed, i)
				if !ok {
					return b
				}
				b = append(strconv.AppendInt(b, p.MemberNo, 10), '\t')
				b = append(append(append(append(b, p.No...), '\t'), p.Country...), '\t')
				b = append(p.IssuedOn.append(b), '\t')
				return append(p.ExpiresOn.append(b), '\n')
			}},
	}
}

// appendMember relies on the lists holding no tab, newline or backslash.
func appendMember(b []byte, seed uint64, i int) []byte {
	m := MemberAt(seed, i)
	b = strconv.AppendInt(b, m.No, 10)
	text := func(s string) {
		b = append(b, '\t')
		if s == "" {
			s = `\N`
		}
		b = append(b, s...)
	}
	date := func(d Date) { b = d.append(append(b, '\t')) }
	text(m.NameKanji)
	text(m.NameKana)
	text(m.NameLatin)
	text(m.Sex)
	date(m.BirthDate)
	text(m.PostalCode)
	text(m.Address)
	text(m.Country)
	text(m.Email)
	text(m.Phone)
	text(m.Workplace)
	text(m.Department)
	text(m.Partner)
	date(m.JoinedOn)
	return append(b, '\n')
}
