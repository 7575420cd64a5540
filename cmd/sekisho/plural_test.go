package main

import (
	"strings"
	"testing"
	"time"

	"sekisho/console"
)

// One of anything is one.
func TestOneMinuteOnePerson(t *testing.T) {
	for _, c := range []struct {
		plan console.PhishingPlanPage
		want string
	}{
		{console.PhishingPlanPage{People: 1, Listed: 1, Minutes: 1}, "would write to 1 of 1 person, in 1 minute at least\n"},
		{console.PhishingPlanPage{People: 2, Listed: 1200, Minutes: 90}, "would write to 2 of 1,200 people, in 90 minutes at least\n"},
	} {
		var said strings.Builder
		printLures(&said, time.UTC, c.plan)
		if !strings.Contains(said.String(), c.want) {
			t.Errorf("%s\nwant %q", said.String(), c.want)
		}
	}
}
