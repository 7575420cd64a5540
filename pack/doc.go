// Package pack makes the auditor's pack, and checks one: how the duties stand,
// with the bytes of the ledger behind it, so that somebody who has neither the
// ledger nor the vault, and does not trust whoever made it, can compute every
// figure again.
//
// What is in a pack is derived from three things that it holds: groups of the
// ledger, the texts of the instruments and of the law's rules, and a few
// settings. Make derives it and Verify derives it again, by the same code as the
// console's figures, and compares byte by byte. No file holds a person: people
// are the ordinals that the entries have.
package pack

// The files of a pack, beside the texts of instruments and rules.
const (
	ManifestFile    = "pack.json"
	SumFile         = "pack.sha256" // of ManifestFile
	ReadmeFile      = "README.txt"
	GroupsFile      = "ledger.groups"
	NamesFile       = "names.jsonl" // of companies
	FiguresFile     = "figures.jsonl"
	ClausesFile     = "clauses.jsonl"
	ObligationsFile = "obligations.jsonl"
	PopulationsFile = "populations.jsonl"
	ExceptionsFile  = "exceptions.jsonl"
	DocumentsFile   = "documents.jsonl"
	EntriesFile     = "entries.jsonl"
)

// derived are the files that Verify computes again.
var derived = []string{EntriesFile, PopulationsFile, DocumentsFile, ExceptionsFile, FiguresFile, ClausesFile, ObligationsFile}
