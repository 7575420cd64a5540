package duty

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Scanned is what a scanner's output says, read strictly: what cannot be read
// is an error, so that nobody takes half of it for the whole.
type Scanned struct {
	Tool    string
	At      time.Time // when it ended; zero if it does not say
	Hosts   []Host
	Results []Weakness
}

// A Host is one that a scanner asked.
type Host struct {
	Names []string // its addresses and names
	Up    bool
}

// A Weakness is one thing that was found.
type Weakness struct {
	Host  string // a name or address
	Code  string // such as "CVE-2021-44228", or the scanner's own
	Grade string // of the grades of findings
	Port  string
	Title string
}

// Ref marks a result, so that it is known when the next scan finds it again.
func (r Weakness) Ref(server string) [32]byte {
	return sha256.Sum256([]byte("scan\x00" + server + "\x00" + r.Code + "\x00" + r.Port))
}

const (
	maxScan    = 64 << 20
	maxResults = 50_000
)

// ErrScan: the bytes are no output that is read.
var ErrScan = errors.New("neither nmap's XML, SARIF nor CSV")

// ReadScan reads nmap's XML (-oX), SARIF 2.1.0, or CSV with the columns host,
// code, severity, title and, if given, port.
func ReadScan(text []byte) (*Scanned, error) {
	if len(text) > maxScan {
		return nil, fmt.Errorf("reading a scan: %d bytes; the limit is %d", len(text), maxScan)
	}
	var s *Scanned
	var err error
	switch head := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))); {
	case bytes.HasPrefix(head, []byte("<")):
		s, err = readNmap(head)
	case bytes.HasPrefix(head, []byte("{")):
		s, err = readSARIF(head)
	default:
		s, err = readScanCSV(head)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a scan: %w", err)
	}
	if len(s.Results) > maxResults || len(s.Hosts) > maxResults {
		return nil, fmt.Errorf("reading a scan: more than %d hosts or findings", maxResults)
	}
	return s, nil
}

// nmap's XML, as its DTD has it: https://nmap.org/book/nmap-dtd.html
type nmapRun struct {
	XMLName xml.Name `xml:"nmaprun"`
	Hosts   []struct {
		Status struct {
			State string `xml:"state,attr"`
		} `xml:"status"`
		Addresses []struct {
			Addr string `xml:"addr,attr"`
			Type string `xml:"addrtype,attr"`
		} `xml:"address"`
		Names []struct {
			Name string `xml:"name,attr"`
		} `xml:"hostnames>hostname"`
		Ports []struct {
			Protocol string `xml:"protocol,attr"`
			Number   string `xml:"portid,attr"`
			State    struct {
				State string `xml:"state,attr"`
			} `xml:"state"`
			Scripts []nmapScript `xml:"script"`
		} `xml:"ports>port"`
		Scripts []nmapScript `xml:"hostscript>script"`
	} `xml:"host"`
	Ended struct {
		Finished struct {
			Time int64  `xml:"time,attr"`
			Exit string `xml:"exit,attr"`
		} `xml:"finished"`
	} `xml:"runstats"`
}

type nmapScript struct {
	ID     string `xml:"id,attr"`
	Output string `xml:"output,attr"`
}

func readNmap(text []byte) (*Scanned, error) {
	var run nmapRun
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = true
	if err := d.Decode(&run); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	s := &Scanned{Tool: "nmap"}
	// A run that was broken off has seen nobody knows which hosts.
	if run.Ended.Finished.Time == 0 || run.Ended.Finished.Exit == "error" {
		return nil, fmt.Errorf("%w: the run did not finish", ErrScan)
	}
	s.At = time.Unix(run.Ended.Finished.Time, 0)
	for _, h := range run.Hosts {
		host := Host{Up: h.Status.State == "up"}
		for _, a := range h.Addresses {
			if a.Type != "mac" {
				host.Names = append(host.Names, a.Addr)
			}
		}
		for _, n := range h.Names {
			host.Names = append(host.Names, n.Name)
		}
		if len(host.Names) == 0 {
			continue
		}
		s.Hosts = append(s.Hosts, host)
		add := func(port string, list []nmapScript) {
			for _, x := range list {
				// By nmap's convention (the vulns library) a script that found a
				// weakness says so in these words.
				out := strings.ToUpper(x.Output)
				if strings.Contains(out, "VULNERABLE") && !strings.Contains(out, "NOT VULNERABLE") {
					s.Results = append(s.Results, Weakness{Host: host.Names[0], Code: firstCVE(x.Output, x.ID), Grade: "high", Port: port, Title: x.ID})
				}
			}
		}
		add("", h.Scripts)
		for _, p := range h.Ports {
			add(p.Protocol+"/"+p.Number, p.Scripts)
		}
	}
	return s, nil
}

// firstCVE is the first CVE that a text names, else what it is called otherwise.
func firstCVE(text, otherwise string) string {
	at := strings.Index(text, "CVE-")
	if at < 0 {
		return limitCode(otherwise)
	}
	end := at + 4
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '-') {
		end++
	}
	return limitCode(text[at:end])
}

// limitCode keeps what can be a public name of a weakness: an entry has no room
// for anything else.
func limitCode(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/", r) {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), 80)]
}

// SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/
type sarif struct {
	Version string `json:"version"`
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name  string `json:"name"`
				Rules []struct {
					ID    string `json:"id"`
					Short struct {
						Text string `json:"text"`
					} `json:"shortDescription"`
					Properties struct {
						Severity string `json:"security-severity"`
					} `json:"properties"`
				} `json:"rules"`
			} `json:"driver"`
		} `json:"tool"`
		Invocations []struct {
			End string `json:"endTimeUtc"`
			OK  *bool  `json:"executionSuccessful"`
		} `json:"invocations"`
		Results []struct {
			Rule    string `json:"ruleId"`
			Level   string `json:"level"`
			Message struct {
				Text string `json:"text"`
			} `json:"message"`
			Locations []struct {
				Physical struct {
					Artifact struct {
						URI string `json:"uri"`
					} `json:"artifactLocation"`
				} `json:"physicalLocation"`
			} `json:"locations"`
		} `json:"results"`
	} `json:"runs"`
}

func readSARIF(text []byte) (*Scanned, error) {
	var in sarif
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	if !strings.HasPrefix(in.Version, "2.1") || len(in.Runs) == 0 {
		return nil, fmt.Errorf("%w: SARIF %q is not read, 2.1.0 is", ErrScan, in.Version)
	}
	s := &Scanned{Tool: "sarif"}
	seen := map[string]bool{}
	for _, run := range in.Runs {
		severity, title := map[string]string{}, map[string]string{}
		for _, r := range run.Tool.Driver.Rules {
			severity[r.ID], title[r.ID] = r.Properties.Severity, r.Short.Text
		}
		for _, i := range run.Invocations {
			if i.OK != nil && !*i.OK {
				return nil, fmt.Errorf("%w: the run did not finish", ErrScan)
			}
			if t, err := time.Parse(time.RFC3339, i.End); err == nil && t.After(s.At) {
				s.At = t
			}
		}
		for _, r := range run.Results {
			host := ""
			if len(r.Locations) > 0 {
				host = hostOf(r.Locations[0].Physical.Artifact.URI)
			}
			if host == "" {
				return nil, fmt.Errorf("%w: a result has no location with a host", ErrScan)
			}
			if !seen[host] {
				seen[host] = true
				s.Hosts = append(s.Hosts, Host{Names: []string{host}, Up: true})
			}
			text := title[r.Rule]
			if text == "" {
				text = r.Message.Text
			}
			s.Results = append(s.Results, Weakness{Host: host, Code: firstCVE(r.Rule, r.Rule), Grade: graded(severity[r.Rule], r.Level), Title: text})
		}
	}
	return s, nil
}

func hostOf(uri string) string {
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		uri = rest
	}
	uri, _, _ = strings.Cut(uri, "/")
	if a, err := netip.ParseAddrPort(uri); err == nil {
		return a.Addr().String()
	}
	if host, port, ok := strings.Cut(uri, ":"); ok {
		if _, err := strconv.Atoi(port); err == nil {
			return host
		}
	}
	return uri
}

// graded turns a severity into a grade: a CVSS score by FIRST's bands, a word as
// it stands, SARIF's level otherwise.
func graded(severity, level string) string {
	severity = strings.ToLower(strings.TrimSpace(severity))
	if n, err := strconv.ParseFloat(severity, 64); err == nil {
		switch {
		case n >= 9:
			return "critical"
		case n >= 7:
			return "high"
		case n >= 4:
			return "medium"
		case n > 0:
			return "low"
		}
		return "remark"
	}
	switch severity {
	case "critical", "high", "medium", "low":
		return severity
	case "moderate":
		return "medium"
	case "info", "informational", "none", "log":
		return "remark"
	}
	switch level {
	case "error":
		return "high"
	case "note", "none":
		return "remark"
	}
	return "medium"
}

func readScanCSV(text []byte) (*Scanned, error) {
	r := csv.NewReader(bytes.NewReader(text))
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	at := func(names ...string) int {
		return slices.IndexFunc(head, func(h string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(h))) })
	}
	host, code, severity, title, port := at("host", "ip", "asset"), at("code", "cve", "plugin id", "id"), at("severity", "risk", "cvss", "grade"), at("title", "name", "summary"), at("port")
	if host < 0 || severity < 0 {
		return nil, fmt.Errorf("%w: the first line names no columns host and severity", ErrScan)
	}
	s := &Scanned{Tool: "csv"}
	seen := map[string]bool{}
	cell := func(row []string, i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrScan, err)
		}
		name := cell(row, host)
		if name == "" {
			return nil, fmt.Errorf("%w: a line without a host", ErrScan)
		}
		if !seen[name] {
			seen[name] = true
			s.Hosts = append(s.Hosts, Host{Names: []string{name}, Up: true})
		}
		// A line without a code says that the host was looked at.
		if c := limitCode(cell(row, code)); c != "" {
			s.Results = append(s.Results, Weakness{Host: name, Code: c, Grade: graded(cell(row, severity), ""), Port: cell(row, port), Title: cell(row, title)})
		}
	}
}
