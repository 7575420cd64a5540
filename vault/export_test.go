package vault

// Row is what the vault file holds of one assignment.
type Row struct {
	Salt []byte
	Key  string
}

// Rows reads the durable rows of a space from the file.
func Rows(v *Vault, space string) []Row {
	var rows []Row
	s := v.Space(space)
	for _, at := range s.runs {
		r, err := v.readRun(s, at)
		if err != nil {
			panic(err)
		}
		r.each(func(one *row) {
			rows = append(rows, Row{append([]byte(nil), one.salt[:]...), string(one.key)})
		})
	}
	return rows
}

// Before has the vault write rows as it did before records had keys of their
// own.
func Before(v *Vault) { v.group.records = nil }
