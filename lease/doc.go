// Package lease is how several gates share budgets of customers. One of them, the
// issuer, has a Door, where each other gate's Borrower asks for shares by HTTP,
// over TLS with certificates on both sides. What a share is, and why the shares
// and the issuer's own use are never more than the limit, stands in package
// budget (lease.go); this package carries it, and keeps to the order in which
// things have to be durable:
//
//   - at the issuer, what is granted is reserved, then durable, then answered: an
//     answer that is lost has been granted all the same;
//   - at the gate, what is given back is not spent any more, then durable, then
//     told; what was granted is durable before it is spent;
//   - a gate asks one question at a time, and forgets one that was not answered:
//     it believes no later answer to it. The issuer answers no question that is
//     older than the last (epoch and number), so none can be put twice.
//
// How long a share lasts is a length of time, and no moment: the gate measures it
// from before it asked, by a clock that does not stand still in sleep and is not
// set (CLOCK_BOOTTIME), and by its wall clock, whichever is over first; the issuer
// from after it was durable, with a margin. So it does not matter whether the
// gates' clocks agree. (Clocks that are set while they run: docs/budgets.md.)
package lease
