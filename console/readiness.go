package console

import "sekisho"

// An ObservedDay is what enforcement would have done to the roles that are observed
// on the last day that has ended: counts only.
type ObservedDay struct {
	Until sekisho.Time   `json:"until"` // 0: no day has ended yet since a role is observed
	Roles []ObservedRole `json:"roles"`
}

// An ObservedRole is one role's day.
type ObservedRole struct {
	Role       string  `json:"role"`
	Verdict    string  `json:"verdict"` // as `sekisho readiness` says it
	Statements uint64  `json:"statements"`
	Runs       uint64  `json:"runs"`
	Exact      uint64  `json:"exact"`
	Other      uint64  `json:"contributed"`
	AnyRow     uint64  `json:"any_row"`
	Refused    uint64  `json:"would_be_refused_runs"`
	Unsure     uint64  `json:"cannot_tell_runs"`
	Policy     uint64  `json:"policy_would_refuse_runs"`
	Budgets    int     `json:"budgets_would_end"`
	Keys       uint64  `json:"hidden_keys_statements"`
	Compared   uint64  `json:"hidden_keys_compared"`
	Worst      float64 `json:"hidden_keys_worst_ratio"` // 0 if no plans were compared
}
