package demo

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// Bookings is the database of the travel agency's store, in the schema travel.
const Bookings = "bookings"

//go:embed bookings.sql
var bookingsSQL string

// BookingsYAML is the catalog of the store of bookings.
//
//go:embed bookings.yaml
var BookingsYAML string

// bookingsVersion changes with bookings.sql.
const bookingsVersion = 1

// BookingsConfig says what the store of bookings shall hold.
type BookingsConfig struct {
	Rows      int // up to 20 million
	Passports int // of them told a passport
	Valid     int // of these one that is valid on 2016-03-21
	Partner   int // of the rows came through the partner
	Seed      uint64
}

// FillBookings makes the store of bookings hold that, and returns at once if it
// does. The mark of a filled store is written last.
func FillBookings(ctx context.Context, c *Cluster, cfg BookingsConfig) error {
	if cfg.Rows < 1 || cfg.Rows > 20_000_000 || cfg.Valid > cfg.Passports || cfg.Passports > cfg.Rows || cfg.Partner > cfg.Rows {
		return fmt.Errorf("filling the store of bookings: %+v does not fit together; up to 20000000 rows", cfg)
	}
	if err := fillBookings(ctx, c, cfg); err != nil {
		return fmt.Errorf("filling the store of bookings: %w", err)
	}
	return nil
}

func fillBookings(ctx context.Context, c *Cluster, cfg BookingsConfig) error {
	if err := makeRoles(ctx, c); err != nil {
		return err
	}
	mark := fmt.Sprintf("%d %+v", bookingsVersion, cfg)
	filled, err := isFilled(ctx, c, Bookings, mark)
	if err != nil || filled {
		return err
	}
	for _, s := range []string{
		"drop database if exists " + Bookings + " with (force)",
		"create database " + Bookings,
		"revoke all on database postgres, template1, " + Bookings + " from public;\n" +
			"grant connect on database " + Bookings + " to " + strings.Join(Roles[:], ", ") + ";\n" +
			"alter database " + Bookings + " set search_path = travel",
	} {
		if _, err := c.SQL(ctx, "postgres", s); err != nil {
			return err
		}
	}
	text := strings.NewReplacer("$ROWS", strconv.Itoa(cfg.Rows), "$PASSPORTS", strconv.Itoa(cfg.Passports), "$VALID", strconv.Itoa(cfg.Valid),
		"$PARTNER", strconv.Itoa(cfg.Partner), "$SEED", strconv.FormatUint(cfg.Seed%(1<<40), 10)).Replace(bookingsSQL)
	if _, err := c.SQL(ctx, Bookings, text); err != nil {
		return err
	}
	_, err = c.SQL(ctx, Bookings, fmt.Sprintf("create schema demo; create table demo.filled as select '%s'::text as mark", mark))
	return err
}
