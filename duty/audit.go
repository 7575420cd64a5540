package duty

// An audit is an outside expert's. Its report, as it came, is the evidence; two
// people of the house say that it is the one that came.
var audit = Noun{Name: "audit", Evidence: "audit_report", Space: "thing", Of: "audit_scope", Parties: [2]string{"owner", "witness"}, Papers: []string{"report"}, Expert: true}

// A report says how far an instrument is met, by whoever answers for that. It is
// about the instruments of the register of duties.
var report = Noun{Name: "report", Evidence: "audit_report", Space: "instrument", Parties: [2]string{"owner", "witness"}, Papers: []string{"report"}}

// A penetration test is of servers that the public reaches.
var penetration = Noun{Name: "pentest", Evidence: "pentest_report", Space: "thing", Of: "server", Parties: [2]string{"owner", "witness"}, Papers: []string{"report"}}
