package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"sekisho"
	"sekisho/identity"
)

// A Certificate is what the control socket is told of the authority's work.
type Certificate struct {
	Action    string    `json:"action"` // "issued", "login", "revoked", "renewed"
	Endpoint  string    `json:"endpoint"`
	Serial    string    `json:"serial"`
	Until     time.Time `json:"until"`
	Principal string    `json:"principal,omitempty"` // whom a login is for
}

// certified records what the authority of this machine did, or is about to do.
// It is durable when the answer goes out.
func (c *Console) certified(v *visit) (any, error) {
	var told Certificate
	d := json.NewDecoder(v.r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&told)
	switch {
	case err != nil:
	case !slices.Contains([]string{"issued", "login", "revoked", "renewed"}, told.Action):
		err = errors.New("no such action")
	case !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(told.Serial):
		err = errors.New("the serial number is not 32 hexadecimal digits")
	case told.Until.Before(time.UnixMicro(0)) || told.Until.Year() > 9999:
		err = errors.New("the end is out of range")
	case (told.Action == "login") != (told.Principal != ""):
		err = errors.New("a login is somebody's, and nothing else is")
	default:
		err = identity.CheckName(told.Endpoint)
	}
	if err != nil {
		return nil, &failure{status: http.StatusBadRequest, key: "q_json", cause: fmt.Errorf("recording a certificate: %w", err)}
	}
	body := &sekisho.Certified{Action: told.Action, Endpoint: told.Endpoint, Serial: told.Serial, Until: sekisho.At(told.Until), By: v.who.staff}
	if told.Principal != "" {
		body.Principal = c.cfg.Vault.Space("staff").OfText([]byte(told.Principal))
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), body)
	if err != nil {
		return nil, notRecorded(err)
	}
	return map[string]uint64{"entry": id.Seq}, nil
}
