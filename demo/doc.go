// Package demo is the customer store to stand in front of when nobody brings
// their own: a private PostgreSQL cluster, filled with members who do not
// exist, and a catalog that says what of it is personal data.
//
// It talks to PostgreSQL through psql only.
package demo
