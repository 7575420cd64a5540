package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sekisho/house"
	"sekisho/sensor"
)

// An event is one of OCSF's, as JSON has it.
type event map[string]any

// reporter posts events as machines do: each source with its own token.
type reporter struct {
	url    string
	tokens map[string]string
	sent   int
}

// newReporter makes the tokens of some sources, in files of dir, and the part
// of the config that lets them in.
func newReporter(dir string, names []string) (*reporter, house.Events, error) {
	r := &reporter{tokens: map[string]string{}}
	conf := house.Events{}
	if len(names) > 0 {
		conf.Listen = "127.0.0.1:0"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, conf, err
	}
	for _, name := range names {
		r.tokens[name] = newPassword()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(r.tokens[name]+"\n"), 0o600); err != nil {
			return nil, conf, err
		}
		conf.Sources = append(conf.Sources, house.EventSource{Name: name, TokenFile: path, Silent: 30 * time.Hour})
	}
	return r, conf, nil
}

// post sends one delivery, and fails if anything of it was left out.
func (r *reporter) post(ctx context.Context, source string, events []event) error {
	if events == nil {
		events = []event{}
	}
	for _, e := range events {
		r.sent++
		if e["metadata"] == nil {
			e["metadata"] = event{"version": "1.4.0", "uid": fmt.Sprintf("%s-%d", source, r.sent), "product": event{"name": source}}
		}
	}
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.tokens[source])
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("posting events of %s: %w", source, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	var taken sensor.Taken
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("posting events of %s: %s: %s", source, resp.Status, text)
	}
	if err := json.Unmarshal(text, &taken); err != nil {
		return err
	}
	if taken.Rejected > 0 {
		return fmt.Errorf("posting events of %s: event %d was left out: %s", source, taken.Reasons[0].Index, taken.Reasons[0].Reason)
	}
	return nil
}

func ocsf(class, activity, severity int, at time.Time, more event) event {
	e := event{"class_uid": class, "category_uid": class / 1000, "type_uid": class*100 + activity, "activity_id": activity, "severity_id": severity, "time": at.UnixMilli()}
	for k, v := range more {
		e[k] = v
	}
	return e
}

func machine(name, ip string) event { return event{"hostname": name, "ip": ip} }

func user(name string) event { return event{"user": event{"name": name}} }

func fileOf(path string, size int64, sha256 string) event {
	f := event{"path": path, "name": filepath.Base(path), "size": size}
	if sha256 != "" {
		f["hashes"] = []event{{"algorithm_id": 3, "algorithm": "SHA-256", "value": sha256}}
	}
	return f
}

func mailFrom(at time.Time, from, envelope, server, subject string, files ...event) event {
	mail := event{"from": from, "to": []string{ourMailbox}, "subject": subject}
	if len(files) > 0 {
		mail["files"] = files
	}
	return ocsf(sensor.ClassMail, 2, 1, at, event{"device": event{"hostname": mailServer}, "src_endpoint": event{"ip": server}, "direction_id": 1, "smtp_from": envelope, "email": mail})
}

func speaks(at time.Time, name, ip, to string, activity int) event {
	e := ocsf(sensor.ClassNetwork, activity, 1, at, event{"src_endpoint": machine(name, ip), "dst_endpoint": event{"ip": to, "port": 443}, "connection_info": event{"protocol_name": "tcp"}})
	if activity == 5 { // refused
		e["action_id"], e["disposition_id"] = 2, 2
	}
	return e
}

func signsIn(at time.Time, name, ip, account string) event {
	return ocsf(sensor.ClassSignIn, 1, 1, at, event{"device": machine(name, ip), "user": event{"name": account}, "status_id": 1})
}

func changes(activity int, at time.Time, name, account string, file event) event {
	return ocsf(sensor.ClassFile, activity, 1, at, event{"device": event{"hostname": name}, "actor": user(account), "file": file})
}

func ails(at time.Time, name, code, message string, free int64) event {
	return ocsf(sensor.ClassDevice, 1, 3, at, event{"device": event{"hostname": name}, "status_code": code, "message": message, "unmapped": event{"free_bytes": free}})
}

func finds(at time.Time, severity int, title, name, to string) event {
	return ocsf(sensor.ClassFinding, 1, severity, at, event{"finding_info": event{"title": title}, "evidences": []event{{"src_endpoint": event{"hostname": name}, "dst_endpoint": event{"ip": to, "port": 443}}}})
}
