package console

import (
	"net/http"
	"time"
)

// Imported is what came of a log of the database's that was read back.
type Imported struct {
	Lines      uint64 `json:"lines"`
	Own        uint64 `json:"own"`      // of the login
	Rejected   uint64 `json:"rejected"` // could not be read, and may have been the login's
	Statements uint64 `json:"statements"`
	Sessions   uint64 `json:"sessions"` // new ones
	Accesses   uint64 `json:"accesses"` // new ones, all any-row
}

// maxLog is how large a log can be that is imported at once.
const maxLog = 8 << 30

func (c *Console) controlGlass(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("POST /api/breakglass/import", maxLog, func(v *visit) (any, error) {
		login := v.r.URL.Query().Get("login")
		if c.cfg.ImportLog == nil || login == "" {
			return nil, fail(http.StatusConflict, "glass_not_here")
		}
		http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(time.Hour))
		done, err := c.cfg.ImportLog(v.r.Context(), login, v.r.Body)
		if err != nil {
			return nil, &failure{status: http.StatusInternalServerError, key: "glass", cause: err}
		}
		return done, nil
	})
}
