package house

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/contain"
	"sekisho/duty"
	"sekisho/gate"
	"sekisho/incident"
	"sekisho/lease"
	"sekisho/sensor"
	"sekisho/tell"
	"sekisho/watch"
)

// Config is everything that sekisho is told. It is one YAML file; the comments
// here and in the parts are its manual. A key that is not named here is an
// error.
type Config struct {
	// Name of the ledger, which is that of the database it guards: member-db.
	Name string `yaml:"name"`

	// Data is the directory for the ledger, the vault and its key, and the
	// console's users. It is made with mode 0700. A path that is not absolute
	// counts from the config file's directory; so do all others.
	Data string `yaml:"data"`

	// Number of this gate, from 1. Two gates of one company never share one.
	Number uint32 `yaml:"number"`

	// TimeZone in which dates are read and shown, such as Asia/Tokyo (the
	// default) or Europe/London. The ledger itself is in UTC.
	TimeZone string `yaml:"time_zone"`

	// Catalog says whose data is where.
	Catalog catalog.Config `yaml:"catalog"`

	// Gate is the PostgreSQL door.
	Gate gate.Config `yaml:"gate"`

	// Console is the web door.
	Console Console `yaml:"console"`

	// Sensors bring in what other machines saw.
	Sensors Sensors `yaml:"sensors"`

	// Hostile destinations that are known: addresses or prefixes. Traffic to one
	// from an endpoint that read customers is an alert.
	Hostile []string `yaml:"hostile"`

	// Watch says how much is too much.
	Watch watch.Config `yaml:"watch"`

	// Budgets say how many different customers may be read within a time.
	Budgets budget.Config `yaml:"budgets"`

	// Exports says what the answers of approved exports carry.
	Exports Exports `yaml:"exports"`

	// Leases say with which other gates the budgets are shared.
	Leases lease.Config `yaml:"leases"`

	// Roster is how often the list of everybody is read anew. Default 24h.
	Roster time.Duration `yaml:"roster"`

	// Contain says how terminals are cut off, and which never are.
	Contain contain.Config `yaml:"contain"`
	// Tell says how people outside are told of an incident.
	Tell tell.Config `yaml:"tell"`

	// Desk is the contact point: a public page where customers ask about their
	// own data.
	Desk tell.DeskConfig `yaml:"desk"`

	// Lures are drills by mail for the company's own people.
	Lures tell.LuresConfig `yaml:"lures"`
	// Staff is the employees' door: pages for members of staff about what they
	// themselves owe and have done.
	Staff console.StaffConfig `yaml:"staff"`

	// Training says how training is planned, and people are reminded.
	Training duty.TrainingConfig `yaml:"training"`

	// Outside is the search for what passes the gate by.
	Outside Outside `yaml:"outside"`

	// Hands are what can cut terminals off the outside.
	Hands contain.Hands `yaml:"hands"`

	// CSIRT says who answers an incident, by which manual.
	CSIRT incident.Config `yaml:"csirt"`

	// Law says under which duties to report the company stands.
	Law Law `yaml:"law"`

	// Documents are the texts that the company gives itself.
	Documents console.DocumentsConfig `yaml:"documents"`

	// Handling says how information of each category may be handled.
	Handling Handling `yaml:"handling"`

	// Duties is the register of what the company's policy promises.
	Duties duty.Config `yaml:"duties"`
	// Directory says where people, companies and departments come from.
	Directory Directory `yaml:"directory"`
}

// Console says where the pages are.
type Console struct {
	// Listen is the address, such as 127.0.0.1:8090.
	Listen string `yaml:"listen"`
	// Cert and Key are PEM files. Without them the console speaks plain HTTP, and
	// should listen on 127.0.0.1 only, or behind something that ends TLS.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Users is the directory of the users' file, users.json. Default: the data
	// directory.
	Users string `yaml:"users"`
	// MetricsTokenFile holds the token, of 16 characters or more, with which a
	// program reads all of /metrics; mode 0600. Without it strangers and programs
	// see only whether the ledger takes entries.
	MetricsTokenFile string `yaml:"metrics_token_file"`
}

// Sensors are sources of security events.
type Sensors struct {
	// Inside lists the addresses that are the company's own. Default: the private
	// networks of RFC 1918 and RFC 4193.
	Inside []string `yaml:"inside"`
	// Bindings say which endpoint an address is, where no client certificate
	// does.
	Bindings []sensor.Binding `yaml:"bindings"`
	// Zeek lists conn.log files to follow, in Zeek's JSON or tab-separated form.
	Zeek []Zeek `yaml:"zeek"`
	// Names lists dns.log or ssl.log files to follow: they say which services
	// outside are used, and those that nobody assessed are listed (docs/checks.md).
	Names []Names `yaml:"names"`
	// Mail receives what is sent to the mailboxes of decoys.
	Mail Mail `yaml:"mail"`
	// Events receives security events of other machines, in OCSF's JSON.
	Events Events `yaml:"events"`
}

// Mail is a door for mail to people who do not exist.
type Mail struct {
	// Listen is the address, such as :25. Empty: no mail is received.
	Listen string `yaml:"listen"`
	// Domains for which every address is taken, such as decoy.example.jp. Their
	// MX record names this machine.
	Domains []string `yaml:"domains"`
}

// Zeek is one conn.log.
type Zeek struct {
	Name string `yaml:"name"` // as the ledger calls this sensor; default zeek-conn
	Path string `yaml:"path"`
}

// Check is what Open does with a config before anything is opened: base is the
// directory that paths in it count from.
func (c *Config) Check(base string) error { return c.check(base) }

// check fills in defaults, makes paths absolute and names the first mistake.
func (c *Config) check(base string) error {
	if c.Name == "" {
		return errors.New("config: name is missing: what the ledger is called, such as member-db")
	}
	if c.Data == "" {
		return errors.New("config: data is missing: the directory for ledger and vault")
	}
	if c.Number == 0 {
		c.Number = 1
	}
	if c.TimeZone == "" {
		c.TimeZone = "Asia/Tokyo"
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		return fmt.Errorf("config: time_zone %q is unknown: use a name such as Asia/Tokyo", c.TimeZone)
	}
	if c.Roster == 0 {
		c.Roster = 24 * time.Hour
	}
	if (c.Console.Cert == "") != (c.Console.Key == "") {
		return errors.New("config: console: cert and key come together")
	}
	for _, p := range []*string{&c.Data, &c.Gate.TLS.Cert, &c.Gate.TLS.Key, &c.Gate.TLS.ClientCA, &c.Gate.TLS.ClientCRL, &c.Gate.Upstream.SSLRootCert, &c.Gate.Policy.Dir, &c.Gate.Policy.Postures,
		&c.Gate.Upstream.Reader.PasswordFile, &c.Console.Cert, &c.Console.Key, &c.Console.Users, &c.Console.MetricsTokenFile, &c.CSIRT.Manual, &c.CSIRT.Playbooks, &c.Law.Rules} {
		*p = Against(base, *p)
	}
	for name, r := range c.Gate.Roles {
		r.PasswordFile = Against(base, r.PasswordFile)
		c.Gate.Roles[name] = r
	}
	if c.Console.Users == "" {
		c.Console.Users = c.Data
	}
	for i := range c.Sensors.Zeek {
		z := &c.Sensors.Zeek[i]
		if z.Path == "" {
			return fmt.Errorf("config: sensors: zeek: the path of number %d is missing", i+1)
		}
		if z.Path = Against(base, z.Path); z.Name == "" {
			z.Name = "zeek-conn"
		}
	}
	for i := range c.Sensors.Names {
		n := &c.Sensors.Names[i]
		if n.Path == "" {
			return fmt.Errorf("config: sensors: names: the path of number %d is missing", i+1)
		}
		if n.Path = Against(base, n.Path); n.Name == "" {
			n.Name = "zeek-names"
		}
		if slices.ContainsFunc(c.Sensors.Names[:i], func(other Names) bool { return other.Name == n.Name }) {
			return fmt.Errorf("config: sensors: names: two are called %q; give each a name", n.Name)
		}
	}
	if err := c.Sensors.Events.check(base); err != nil {
		return err
	}
	if m := c.Sensors.Mail; m.Listen != "" && len(m.Domains) == 0 && c.Tell.Mail.Returns == "" && len(c.Lures.MailDomains()) == 0 {
		return errors.New("config: sensors: mail: domains is missing: those for which mail is received")
	}
	if _, err := sekisho.ParsePrefixes(c.Hostile); err != nil {
		return fmt.Errorf("config: hostile: %w", err)
	}
	if _, err := sekisho.ParsePrefixes(c.Sensors.Inside); err != nil {
		return fmt.Errorf("config: sensors: inside: %w", err)
	}
	if err := c.Watch.Check(); err != nil {
		return err
	}
	if _, err := incident.Read(c.CSIRT); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := c.Contain.Check(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if _, _, err := c.Law.read(); err != nil {
		return err
	}
	if err := c.Catalog.Check(); err != nil {
		return err
	}
	if err := c.Hands.Check(base); err != nil {
		return fmt.Errorf("config: hands: %w", err)
	}
	if err := c.Budgets.Check(); err != nil {
		return err
	}
	if err := c.checkExports(); err != nil {
		return err
	}
	if _, _, err := c.Outside.peers(); err != nil {
		return err
	}
	if err := c.Leases.Check(base, c.Number); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	var subjects []string
	for _, s := range c.Catalog.Subjects {
		subjects = append(subjects, s.Name)
	}
	if err := c.Budgets.Known(subjects); err != nil {
		return err
	}
	if err := c.Directory.check(base); err != nil {
		return err
	}
	if err := c.checkTell(base, subjects); err != nil {
		return err
	}
	for _, p := range []*string{&c.Documents.Cert, &c.Documents.Key} {
		*p = Against(base, *p)
	}
	if err := c.Documents.Check(); err != nil {
		return err
	}
	if err := c.checkHandling(base); err != nil {
		return err
	}
	if err := c.checkLures(base); err != nil {
		return err
	}
	if c.Desk.Mail.Server == "" { // one company, one relay
		c.Desk.Mail = c.Tell.Mail.Relay
	}
	if c.Desk.From == "" {
		c.Desk.From = c.Tell.Mail.From
	}
	if err := c.Desk.Check(); err != nil {
		return err
	}
	if err := c.checkStaff(base); err != nil {
		return err
	}
	if c.Gate.Listen == "" && len(c.Gate.Roles) == 0 && c.Gate.Upstream.Host == "" {
		return nil // a house without a gate: a stopped ledger that is opened to be asked
	}
	return c.Gate.Check()
}

// Against is a path as the config file in base means it.
func Against(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// ParseTime reads a date or a time as a person types it. A date is its first
// moment.
func ParseTime(s string, zone *time.Location) (sekisho.Time, error) {
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return sekisho.At(t), nil
		}
	}
	return 0, fmt.Errorf("%q is no date or time: write 2014-08-18, 2014-08-18 09:30 or 2014-08-18T09:30:00+09:00", s)
}
