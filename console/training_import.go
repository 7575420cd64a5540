package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Completions that come from elsewhere: from another learning system, or
// declared by a person, for which a second one answers.

// A TrainingClaim is a completion that somebody declared.
type TrainingClaim struct {
	Entry  uint64       `json:"entry"`
	Person string       `json:"person,omitempty"`
	Course string       `json:"course"`
	When   sekisho.Time `json:"when"`
	System string       `json:"system"`
	By     string       `json:"by"`
}

// A TrainingVerdict is what a second person says of completions.
type TrainingVerdict struct {
	Completions []uint64 `json:"completions"`
	Action      string   `json:"action"` // countersigned, withdrawn
	Reason      string   `json:"reason,omitempty"`
}

func (c *Console) judgeTraining(v *visit, a TrainingVerdict) error {
	s, err := c.schooled()
	if err != nil {
		return err
	}
	if !c.mayDecide(v.who) {
		return fail(http.StatusForbidden, "training_role")
	}
	if a.Reason = strings.TrimSpace(a.Reason); len(a.Reason) > maxReason {
		return fail(http.StatusBadRequest, "export_reason")
	}
	same := func(x, y uint32) bool {
		return x == y || c.users.person(c.named("staff", x)) == c.users.person(c.named("staff", y))
	}
	return refusedTraining(s.Judge(v.r.Context(), a.Completions, a.Action, a.Reason, v.who.staff, same))
}

func (c *Console) judgeTrainingForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	a := TrainingVerdict{Action: v.r.PostForm.Get("action"), Reason: v.r.PostForm.Get("reason")}
	for _, t := range v.r.PostForm["completion"] {
		n, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "training_completion")
		}
		a.Completions = append(a.Completions, n)
	}
	if err := c.judgeTraining(v, a); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, "/training", http.StatusSeeOther)
	return nil, errDone
}

// takeTraining takes completions of another system over.
func (c *Console) takeTraining(ctx context.Context, m duty.Import, csv io.Reader, dry bool) (*duty.Imported, error) {
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	if csv != nil {
		if m.Lines, m.SHA256, err = duty.ReadImport(csv); err != nil {
			if big := tooLarge(err); big != err {
				return nil, big
			}
			return nil, &failure{status: http.StatusUnprocessableEntity, key: "training_csv", args: []any{err.Error()}, cause: err}
		}
	}
	if m.System = strings.TrimSpace(m.System); m.System == "" || len(m.System) > 64 {
		return nil, fail(http.StatusUnprocessableEntity, "training_system")
	}
	if _, err := s.ReadIn(ctx); err != nil {
		return nil, notRecorded(err)
	}
	return s.Take(ctx, m, dry)
}

func (c *Console) importTrainingForm(v *visit) (page, error) {
	if !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "training_role")
	}
	if err := v.r.ParseMultipartForm(1 << 20); err != nil {
		return nil, tooLarge(err)
	}
	defer v.r.MultipartForm.RemoveAll()
	file, _, err := v.r.FormFile("file")
	if err != nil {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	defer file.Close()
	took, err := c.takeTraining(v.r.Context(), duty.Import{System: v.r.FormValue("system"), Declared: v.r.FormValue("declared") == "yes", By: v.who.staff}, file, v.r.FormValue("go") != "yes")
	if err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return importedPage{took}, nil
	}
	p, err := c.trainingPage(v)
	if err != nil {
		return nil, err
	}
	p.Took = took
	return p, nil
}

type importedPage struct{ *duty.Imported }

func (importedPage) file() string { return "training" }

// importTraining is for another learning system, which comes with a token. It
// posts CSV, or JSON: {"dry_run": …, "completions": [{"person", "course",
// "completed", "edition", "score"}]}. The answer says what became of each line
// that was not taken.
func (c *Console) importTraining(v *visit) (page, error) {
	v.r.Header.Set("Accept", "application/json")
	word, ok := strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
	have, want := sha256.Sum256([]byte(word)), sha256.Sum256([]byte(c.cfg.ImportToken))
	if subtle.ConstantTimeCompare(have[:], want[:]) != 1 || !ok || c.cfg.ImportToken == "" {
		v.w.Header().Set("WWW-Authenticate", "Bearer")
		return nil, fail(http.StatusUnauthorized, "training_token")
	}
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	conf := s.Config.Import
	m := duty.Import{System: conf.System, Declared: conf.Declared}
	dry := v.r.URL.Query().Get("dry_run") == "true"
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "text/csv") {
		took, err := c.takeTraining(v.r.Context(), m, v.r.Body, dry)
		return importedPage{took}, err
	}
	h := sha256.New()
	v.r.Body = io.NopCloser(io.TeeReader(v.r.Body, h))
	body, err := told[struct {
		DryRun      bool                `json:"dry_run"`
		Completions []duty.ImportedLine `json:"completions"`
	}](v)
	if err != nil {
		return nil, err
	}
	io.Copy(io.Discard, v.r.Body)
	m.Lines, m.SHA256 = body.Completions, [32]byte(h.Sum(nil))
	took, err := c.takeTraining(v.r.Context(), m, nil, dry || body.DryRun)
	return importedPage{took}, err
}
