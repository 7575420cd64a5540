package demo_test

import (
	"testing"

	"sekisho/demo"
)

// The store of bookings holds exactly what was asked for, and other people
// with another seed.
func TestTheStoreOfBookings(t *testing.T) {
	c := start(t, t.TempDir())
	cfg := demo.BookingsConfig{Rows: 3000, Passports: 40, Valid: 19, Partner: 125, Seed: 2016}
	count := func() string {
		t.Helper()
		got, err := c.SQL(t.Context(), demo.Bookings, `select count(*), count(distinct booking_no), (select count(*) from passport), (select count(*) from passport where expires_on >= '2016-03-21'),
			count(partner_code), min(booked_on), max(booked_on) from booking`)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if err := demo.FillBookings(t.Context(), c, cfg); err != nil {
		t.Fatal(err)
	}
	if got, want := count(), "3000|3000|40|19|125|2007-09-28|2016-03-21"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	first, _ := c.SQL(t.Context(), demo.Bookings, "select string_agg(booking_no::text, ' ' order by booking_no) from passport")
	if err := demo.FillBookings(t.Context(), c, cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Seed, cfg.Rows = 7, 1500
	if err := demo.FillBookings(t.Context(), c, cfg); err != nil {
		t.Fatal(err)
	}
	if got, want := count(), "1500|1500|40|19|125|2007-09-28|2016-03-21"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if second, _ := c.SQL(t.Context(), demo.Bookings, "select string_agg(booking_no::text, ' ' order by booking_no) from passport"); second == first || second == "" {
		t.Error("another seed draws the same passports")
	}
	if err := demo.FillBookings(t.Context(), c, demo.BookingsConfig{Rows: 10, Passports: 11}); err == nil {
		t.Error("more passports than rows")
	}
}
