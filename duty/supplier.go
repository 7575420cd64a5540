package duty

// A review of a supplier rests on evidence of its competence, which is attached.
var supplierReview = Noun{Name: "supplier", Evidence: "supplier_review", Space: "thing", Of: "supplier", Parties: [2]string{"owner", "assessor"}, Papers: []string{"competence"}, Result: true}

// A check of a contract's clauses: the text is attached, and a clause that has to
// be there and is not keeps the contract from counting.
var clauseCheck = Noun{Name: "contract", Evidence: "contract_clause_check", Space: "thing", Of: "contract", Parties: [2]string{"owner", "assessor"}, Papers: []string{"contract"}, Must: true}
