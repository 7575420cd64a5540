package sensor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/directory"
)

// SCIMServer is a server of SCIM 2.0 that is read.
type SCIMServer struct {
	// URL is its base: https://idp.example.jp/scim/v2.
	URL string `yaml:"url"`
	// CA is a PEM file with the authority of the server's certificate. Default: the
	// system's.
	CA string `yaml:"ca"`
	// TokenFile holds the token that is shown, readable by its owner alone.
	TokenFile string `yaml:"token_file"`
	// Company is the code of the company of people who have none.
	Company string `yaml:"company"`
}

// Check names the first mistake of the config.
func (s *SCIMServer) Check() error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("url: %q is none such as https://idp.example.jp/scim/v2", s.URL)
	}
	if u.Scheme == "http" {
		if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
			return errors.New("url: names and the token would cross the network in the clear: use https://")
		}
	}
	if s.TokenFile == "" {
		return errors.New("token_file is missing")
	}
	return nil
}

// mostPulled are so many people of one server.
const mostPulled = 1_000_000

// ReadSCIM reads every user of a server, page by page.
func ReadSCIM(ctx context.Context, from SCIMServer, token string, opt SCIMOptions) (*directory.Snapshot, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if from.CA != "" {
		pem, err := os.ReadFile(from.CA)
		if err != nil {
			return nil, err
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", from.CA)
		}
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: conf},
		// The token goes to the named server, and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	opt.Company = from.Company
	door := newSCIM(opt)
	s := &directory.Snapshot{Source: opt.Source, Form: "scim", Whole: true}
	sum := sha256.New()
	now := sekisho.At(opt.Now())
	seen := map[string]bool{}
	for start := 1; ; {
		page, body, err := scimPageOf(ctx, client, from.URL, token, start)
		if err != nil {
			return nil, fmt.Errorf("reading users from %d on: %w", start, err)
		}
		sum.Write(body)
		for i := range page.Resources {
			u := &page.Resources[i]
			where := "user " + strconv.Itoa(start+i)
			var was *directory.Person
			if staff, ok := opt.Names.Find("staff", u.UserName); ok {
				was = opt.Book.Last(staff, now)
			}
			r, err := door.record(u, was)
			switch {
			case err != nil:
				s.Refused = append(s.Refused, directory.Refusal{Where: where, Why: err.Error()})
			case seen[strings.ToLower(r.User)]:
				s.Refused = append(s.Refused, directory.Refusal{Where: where, Why: "the user name came before"})
			case was == nil && r.Left != 0: // switched off, and nobody knew them
			default:
				r.Where = where
				s.People = append(s.People, *r)
			}
			seen[strings.ToLower(u.UserName)] = true
		}
		if page.Total > mostPulled || len(seen) > mostPulled {
			return nil, fmt.Errorf("the server has more than %d users", mostPulled)
		}
		if start += len(page.Resources); start > page.Total {
			break
		}
		if len(page.Resources) == 0 {
			return nil, fmt.Errorf("the server says that it has %d users, and gave %d", page.Total, start-1)
		}
	}
	sum.Sum(s.SHA256[:0])
	return s, nil
}

// A scimPageRead is a ListResponse of users.
type scimPageRead struct {
	Total     int        `json:"totalResults"`
	Resources []scimUser `json:"Resources"`
}

func scimPageOf(ctx context.Context, client *http.Client, base, token string, start int) (*scimPageRead, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/Users?startIndex=%d&count=%d", strings.TrimSuffix(base, "/"), start, scimPage), nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/scim+json")
	resp, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	const most = 16 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > most {
		return nil, nil, fmt.Errorf("a page of more than %d bytes", most)
	}
	var page scimPageRead
	if err := json.Unmarshal(body, &page); err != nil || page.Total < 0 || len(page.Resources) > mostPulled {
		return nil, nil, errors.New("the answer is no list of SCIM users")
	}
	return &page, body, nil
}
