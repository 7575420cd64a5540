package contain

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"sekisho"
	"sekisho/incident"
)

// tend sees to what an order needs besides its hands: its end, its owner's
// warning, and whatever about it is an alarm.
func (k *Keeper) tend(ctx context.Context) error {
	var orders []*incident.Order
	k.Read(func() { orders = k.Orders.InForce() })
	hands := k.Hands()
	var failed []error // at one order: the others are looked after all the same
	for _, o := range orders {
		failed = append(failed, k.tendOne(ctx, o, hands))
	}
	return errors.Join(failed...)
}

func (k *Keeper) tendOne(ctx context.Context, o *incident.Order, hands []HandNow) error {
	now := sekisho.At(k.Now())
	if o.Until <= now && !o.Proposed.Keep {
		k.giving.Lock()
		defer k.giving.Unlock()
		fresh, err := k.order(o.Number)
		if err != nil || !fresh.InForce() || fresh.Until > now {
			return err // lifted or prolonged meanwhile
		}
		return k.record(ctx, &sekisho.ContainmentLifted{Order: o.Number, All: true, Cause: "expired"})
	}
	warn := sekisho.Time(k.Config.Warn / time.Microsecond)
	if err := k.topic(ctx, o, "expiring", o.Until-now <= warn && o.Until > now, uint64(max(0, o.Until-now))/1e6, 0, nil); err != nil {
		return err
	}
	if err := k.topic(ctx, o, "overdue", o.Until <= now, 0, 0, nil); err != nil {
		return err
	}
	if places := k.places(o, hands); len(places) < 2 && now-o.When > settlesWithin {
		if err := k.topic(ctx, o, "alone", !o.Proposed.Alone, uint64(len(places)), 2, nil); err != nil {
			return err
		}
	} else if len(places) >= 2 {
		if err := k.topic(ctx, o, "alone", false, uint64(len(places)), 2, nil); err != nil {
			return err
		}
	}
	if known := o.Sees; len(known) > 0 && now-o.When > settlesWithin {
		open := k.reachable(known, hands)
		var names []string
		for _, p := range open {
			names = append(names, Short(p))
		}
		if err := k.topic(ctx, o, "destinations", len(open) > 0, uint64(len(known)-len(open)), uint64(len(known)), names); err != nil {
			return err
		}
	}
	if n := o.Leaked; n > 0 {
		last := o.Leaks[len(o.Leaks)-1]
		return k.topicAt(ctx, o, "leak", true, n, 0, []string{last.Endpoint, last.Target.String()}, last.Target, last.Endpoint)
	}
	return nil
}

// settlesWithin is how long hands may take before what they have not done is an
// alarm.
const settlesWithin = 10 * sekisho.Time(1e6)

// places are those at which the order was found to be in force, wholly as far
// as the hand there can do it. Hands that cannot be read back are no proof.
func (k *Keeper) places(o *incident.Order, hands []HandNow) (list []string) {
	for i, w := range k.workers {
		if w.hand.Does()&needs(o.Proposed) != 0 && hands[i].sure && !slices.Contains(list, hands[i].Place) {
			list = append(list, hands[i].Place)
		}
	}
	return list
}

// reachable are the destinations that no hand was found to block.
func (k *Keeper) reachable(known []netip.Prefix, hands []HandNow) (open []netip.Prefix) {
	for _, p := range known {
		if !slices.ContainsFunc(hands, func(h HandNow) bool { return covered(h.destinations, p) }) {
			open = append(open, p)
		}
	}
	return open
}

func (k *Keeper) topic(ctx context.Context, o *incident.Order, topic string, wrong bool, is, of uint64, what []string) error {
	return k.topicAt(ctx, o, topic, wrong, is, of, what, netip.Addr{}, "")
}

// topicAt records that something about an order is wrong, or is not any more,
// when that is news. What comes closer by the second is news once.
func (k *Keeper) topicAt(ctx context.Context, o *incident.Order, topic string, wrong bool, is, of uint64, what []string, target netip.Addr, endpoint string) error {
	state := "settled"
	if wrong {
		state = "alarm"
	}
	var last *sekisho.ContainmentReported
	for i := range o.Alarms {
		if o.Alarms[i].Body.Reason == topic {
			last = o.Alarms[i].Body
		}
	}
	switch {
	case last == nil && !wrong:
		return nil
	case last != nil && last.State == state && (!wrong || topic == "expiring" || last.Enforced == is && last.Intended == of):
		return nil
	}
	what = what[:min(len(what), mostNamed)]
	bodies := []sekisho.Body{&sekisho.ContainmentReported{Orders: []uint64{o.Number}, State: state, Intended: of, Enforced: is, Missing: what, Reason: topic}}
	if wrong {
		a := alarm(sekisho.At(k.Now()), is, of, o.Number)
		a.Target, a.Endpoint = target, endpoint
		bodies = append(bodies, a)
		k.Log.Warn("an alarm about an order of containment", "order", o.Number, "alarm", topic, "is", is, "of", of)
	}
	return k.record(ctx, bodies...)
}

// record appends, and waits until the views know of it.
func (k *Keeper) record(ctx context.Context, bodies ...sekisho.Body) error {
	id, err := k.Append(ctx, bodies...)
	if err != nil {
		return err
	}
	last := id.Seq + uint64(len(bodies)) - 1
	if err := k.WaitFor(ctx, last); err != nil {
		return err
	}
	for _, w := range k.workers {
		w.poke()
	}
	return nil
}

func (k *Keeper) order(number uint64) (o *incident.Order, err error) {
	k.Read(func() { o = k.Orders.Order(number) })
	if o == nil {
		return nil, wrong("order", number)
	}
	return o, nil
}
