package drill

// Marks is what a case took, in seconds from its first act: read from the
// ledger, never typed in.
type Marks struct {
	Noticed *float64 `json:"noticed_seconds,omitempty"` // the first alert
	Cut     *float64 `json:"cut_off_seconds,omitempty"` // all that was ordered cut off was found to be
	Counted *float64 `json:"counted_seconds,omitempty"` // the first revision that counts the suspected
	Told    *float64 `json:"told_seconds,omitempty"`    // the first text for outside
}
