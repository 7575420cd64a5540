package sekisho

import (
	"fmt"
	"strings"
)

// Categories is a set of categories of personal data, one bit each. The bits
// keep their meaning for ever.
type Categories uint32

const (
	Identity     Categories = 1 << 0  // who: names, sex, birth date, member number
	Contact      Categories = 1 << 1  // address, e-mail, telephone
	TravelDoc    Categories = 1 << 2  // passport, visa
	Payment      Categories = 1 << 3  // card and bank account
	Credential   Categories = 1 << 4  // passwords and their hashes, recovery answers
	Loyalty      Categories = 1 << 5  // miles, points, status
	Employment   Categories = 1 << 6  // place of work, department, title
	Itinerary    Categories = 1 << 7  // bookings and travel
	SpecialCare  Categories = 1 << 8  // APPI art. 2(3), GDPR art. 9
	Relation     Categories = 1 << 9  // partner of origin, family, companions
	Unclassified Categories = 1 << 15 // a column of a protected table that nobody has classified yet
)

var categoryNames = []struct {
	c    Categories
	name string
}{
	{Identity, "identity"}, {Contact, "contact"}, {TravelDoc, "travel_document"}, {Payment, "payment"},
	{Credential, "credential"}, {Loyalty, "loyalty"}, {Employment, "employment"}, {Itinerary, "itinerary"},
	{SpecialCare, "special_care"}, {Relation, "relation"}, {Unclassified, "unclassified"},
}

// AllCategories lists every category there is, in the order of its bit.
func AllCategories() []Categories {
	all := make([]Categories, len(categoryNames))
	for i, n := range categoryNames {
		all[i] = n.c
	}
	return all
}

// ParseCategory is the category called name in a config.
func ParseCategory(name string) (Categories, error) {
	var known []string
	for _, n := range categoryNames {
		if n.name == name {
			return n.c, nil
		}
		known = append(known, n.name)
	}
	return 0, fmt.Errorf("unknown category %q: use one of %s", name, strings.Join(known, ", "))
}

// Names lists the names in c, in the order of their bits.
func (c Categories) Names() []string {
	var names []string
	for _, n := range categoryNames {
		if c&n.c != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

func (c Categories) String() string { return strings.Join(c.Names(), ",") }
