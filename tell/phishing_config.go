package tell

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// To whom drills by mail may go, from where, and how fast.

// LuresConfig says how drills by mail are sent, and to whom at most.
type LuresConfig struct {
	// Domains to whose addresses lures may go, such as example.jp, each as it
	// stands: a domain below one of them is another. Empty: there are no drills by
	// mail.
	Domains []string `yaml:"domains"`

	// Relay is the mail server that takes the lures. Default: that of tell.
	Relay Relay `yaml:"relay"`

	// Pace is how fast they go out. Default: 2 a second over one connection, in
	// windows of 5.
	Pace Pace `yaml:"pace"`

	// Sender is the domain from which lures come, such as drill.example.jp: one of
	// the company's own, for this alone.
	Sender string `yaml:"sender"`

	// Replies is the domain at which answers to lures are received, through
	// sensors.mail. Without it there are no lures that ask for an answer.
	Replies string `yaml:"replies"`

	// Report is the address to which people forward what they take for suspicious,
	// received through sensors.mail. Lures are told apart from what is real.
	Report string `yaml:"report"`

	// Listen is the address of the pages to which lures lead, such as :8443. Cert
	// and Key are PEM files. Base is how people reach it: https://portal.example.jp.
	Listen string `yaml:"listen"`
	Cert   string `yaml:"cert"`
	Key    string `yaml:"key"`
	Base   string `yaml:"base"`

	// Behind are the addresses of proxies whose X-Forwarded-For is believed.
	Behind []string `yaml:"behind"`

	// Templates is a directory of lures of the company's own, *.yaml.
	Templates string `yaml:"templates"`

	// Language of those of whom the directory says none: ja (the default) or en.
	Language string `yaml:"language"`

	// Least is the smallest group of people whose figures are shown by themselves.
	// Default 10.
	Least int `yaml:"least"`

	// Keep is for how many months who was who in a campaign can be found out at
	// all. Default 13.
	Keep int `yaml:"keep"`

	// Contact is whom people may ask about a drill, such as csirt@example.jp.
	Contact string `yaml:"contact"`

	// Scanners are machines that follow links in mails before people do.
	Scanners Scanners `yaml:"scanners"`
}

// Scanners are known by where they come from and by what they call themselves.
type Scanners struct {
	// Networks are addresses or prefixes of mail gateways and sandboxes.
	Networks []string `yaml:"networks"`
	// Agents are parts of a User-Agent, beside those that are known.
	Agents []string `yaml:"agents"`
}

// Check fills in the defaults and names the first mistake.
func (c *LuresConfig) Check() error {
	if len(c.Domains) == 0 {
		return nil
	}
	if c.Language == "" {
		c.Language = "ja"
	}
	if c.Least == 0 {
		c.Least = 10
	}
	if c.Keep == 0 {
		c.Keep = 13
	}
	if c.Pace == (Pace{}) {
		c.Pace = Pace{PerSecond: 2, Connections: 1, Window: 5}
	}
	if err := c.Pace.Check(); err != nil {
		return fmt.Errorf("lures: pace: %w", err)
	}
	if err := c.Relay.Check(); err != nil {
		return fmt.Errorf("lures: relay: %w", err)
	}
	for _, d := range append([]string{c.Sender}, c.Domains...) {
		if !goodDomain(d) {
			return fmt.Errorf("lures: %q is no domain such as example.jp: domains and sender are needed", d)
		}
	}
	base, err := url.Parse(c.Base)
	switch {
	case c.Replies != "" && !goodDomain(c.Replies):
		return fmt.Errorf("lures: replies %q is no domain such as drill.example.jp", c.Replies)
	case c.Report != "" && !GoodAddress(c.Report):
		return fmt.Errorf("lures: report %q is no mail address", c.Report)
	case c.Contact != "" && !GoodAddress(c.Contact):
		return fmt.Errorf("lures: contact %q is no mail address", c.Contact)
	case err != nil || base.Host == "" || base.Scheme != "https" && !(base.Scheme == "http" && loopback(base.Hostname())) || base.Path != "" || base.RawQuery != "":
		return fmt.Errorf("lures: base %q: give the address of the pages as people reach them, such as https://portal.example.jp; http is for this machine only", c.Base)
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("lures: cert and key come together")
	case c.Language != "ja" && c.Language != "en":
		return fmt.Errorf("lures: language %q: use ja or en", c.Language)
	case c.Least < 2:
		return fmt.Errorf("lures: least %d: a group of one is a person", c.Least)
	case c.Keep < 1 || c.Keep > 120:
		return fmt.Errorf("lures: keep %d: give months, such as 13", c.Keep)
	}
	return nil
}

func goodDomain(d string) bool { return GoodAddress("a@"+d) && strings.Contains(d, ".") }

// MailDomains are those for which mail must be received.
func (c *LuresConfig) MailDomains() (list []string) {
	if len(c.Domains) == 0 {
		return nil
	}
	if c.Replies != "" {
		list = append(list, c.Replies)
	}
	if at := strings.LastIndexByte(c.Report, '@'); at > 0 {
		list = append(list, c.Report[at+1:])
	}
	return list
}
