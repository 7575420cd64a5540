package main

import (
	"strings"
	"testing"
)

// Drills by mail on the command line: the lures with their ratings, and that
// nothing can be proposed to nobody.
func TestPhishingCommands(t *testing.T) {
	r := start(t)
	r.configured("\nhostile: []", "\nhostile: []\nlures: {domains: [example.jp], sender: drill.example.jp, relay: {server: 127.0.0.1:1, tls: none}, listen: 127.0.0.1:0, base: http://127.0.0.1:1}\n")
	out := r.must("phishing", "lures")
	for _, want := range []string{"itinerary            ja  virus attachment  5 cues (few), premise 20 (high): very\n", "parcel               en  virus link       17 cues (many), premise  2 (low): least\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("phishing lures lacks %q:\n%s", want, out)
		}
	}
	if out := r.must("phishing", "list"); out != "there was no drill yet\n" {
		t.Errorf("phishing list: %s", out)
	}
	r.mustNot("Nobody of the directory can be written to", "phishing", "propose", "--title", "Autumn", "--lure", "parcel", "--from", "2040-01-02", "--until", "2040-01-06", "--reason", "plan")
	r.mustNot("no such campaign", "phishing", "show", "7")
}
