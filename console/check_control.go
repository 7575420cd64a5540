package console

import (
	"net/http"
	"strconv"
)

// controlChecks are the commands of the control socket about checks, registers
// and findings.
//
//	GET  /api/checks?noun=NOUN       → a ChecksPage; POST a CheckPlan → the CheckPage
//	GET  /api/checks/NUMBER          → a CheckPage
//	POST /api/checks/NUMBER/ACT      a CheckAct → the CheckPage
//	GET  /api/findings/NUMBER        → a FindingPage
//	POST /api/findings/NUMBER/ACT    a CheckAct → the FindingPage
func (c *Console) controlChecks(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	const upload = 2 * maxPaperUpload // base64
	ready := func(do func(v *visit, n uint64) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.checksReady(); err != nil {
				return nil, err
			}
			if err := c.caughtUp(v); err != nil {
				return nil, err
			}
			n := uint64(0)
			if s := v.r.PathValue("number"); s != "" {
				var err error
				if n, err = strconv.ParseUint(s, 10, 64); err != nil {
					return nil, fail(http.StatusNotFound, "check")
				}
			}
			return do(v, n)
		}
	}
	handle("GET /api/checks", maxForm, ready(func(v *visit, _ uint64) (any, error) { return c.checks(v) }))
	handle("POST /api/checks", maxForm, ready(func(v *visit, _ uint64) (any, error) {
		a, err := told[CheckPlan](v)
		if err != nil {
			return nil, err
		}
		n, err := c.planCheck(v, a)
		if err != nil {
			return nil, err
		}
		return c.checkPage(v, n)
	}))
	handle("GET /api/checks/{number}", maxForm, ready(func(v *visit, n uint64) (any, error) { return c.checkPage(v, n) }))
	handle("POST /api/checks/{number}/{act}", upload, ready(func(v *visit, n uint64) (any, error) {
		a, err := told[CheckAct](v)
		if err != nil {
			return nil, err
		}
		if _, err := c.actOnCheck(v, n, v.r.PathValue("act"), a); err != nil {
			return nil, err
		}
		return c.checkPage(v, n)
	}))
	handle("GET /api/findings/{number}", maxForm, ready(func(v *visit, n uint64) (any, error) { return c.findingPage(v, n) }))
	handle("POST /api/findings/{number}/{act}", upload, ready(func(v *visit, n uint64) (any, error) {
		a, err := told[CheckAct](v)
		if err != nil {
			return nil, err
		}
		if err := c.actOnFinding(v, n, v.r.PathValue("act"), a); err != nil {
			return nil, err
		}
		return c.findingPage(v, n)
	}))
}
