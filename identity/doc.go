// Package identity is the company's own certificate authority for the gate, as
// far as the company has no other: a root that can be kept offline, an issuing
// key that the root vouches for, and short-lived certificates of clients whose
// common name is the name of an endpoint.
//
// It also reads what such certificates say (NameOf) and which of them do not
// count any more (Lists), for authorities of others, too. It imports nothing of
// the house and has no clock: the time is an argument.
//
// Formats are those of RFC 5280, in PEM; keys are PKCS #8. Private keys are
// written with mode 0600, and are in no error.
package identity
