package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/console/hosts"
)

type hostCmd struct {
	Add    hostAddCmd    `cmd:"" help:"Add a machine: look at it, show its certificate, remember how to reach it."`
	List   hostListCmd   `cmd:"" aliases:"ls" help:"List the machines that are known."`
	Show   hostShowCmd   `cmd:"" help:"Show what is known of a machine."`
	Remove hostRemoveCmd `cmd:"" aliases:"rm" help:"Forget machines."`
	Set    hostSetCmd    `cmd:"" help:"Change the groups and notes of machines."`
	Import hostImportCmd `cmd:"" help:"Take over the host list of another program."`
	Export hostExportCmd `cmd:"" help:"Write the list to a file, which other programs read."`
}

// A hostRecord is an entry of the database.
type hostRecord struct {
	Name          string   `json:"name"`
	Address       string   `json:"address"`
	Scheme        string   `json:"scheme,omitempty"`
	Port          int      `json:"port,omitempty"`
	User          string   `json:"user"`
	Password      bool     `json:"password_stored"`
	Pin           string   `json:"pin,omitempty"`
	CAFile        string   `json:"ca_file,omitempty"`
	CertFile      string   `json:"cert_file,omitempty"`
	KeyFile       string   `json:"key_file,omitempty"`
	TLSMin        string   `json:"tls_min,omitempty"`
	LegacyCiphers bool     `json:"legacy_ciphers,omitempty"`
	Tags          []string `json:"tags,omitempty"`
	Note          string   `json:"note,omitempty"`
	UUID          string   `json:"uuid,omitempty"`
}

func recordOf(h hosts.Host) hostRecord {
	return hostRecord{h.Name, h.Address, h.Scheme, h.Port, h.Username(), h.HasPassword(), h.Pin, h.CAFile, h.CertFile, h.KeyFile,
		h.TLSMin, h.LegacyCiphers, h.Tags, h.Note, h.UUID}
}

// lines lays an entry out for people.
func (r hostRecord) lines() [][2]string {
	reach := first(r.Scheme, "found out each time")
	if r.Port != 0 {
		reach += " on port " + strconv.Itoa(r.Port)
	}
	password := "not stored"
	if r.Password {
		password = "stored, encrypted"
	}
	legacy := ""
	if r.LegacyCiphers {
		legacy = "offered"
	}
	return [][2]string{
		{"name", r.Name}, {"address", r.Address}, {"reached by", reach}, {"user", r.User}, {"password", password},
		{"certificate", first(r.Pin, "not pinned")}, {"authorities", r.CAFile}, {"client certificate", r.CertFile},
		{"oldest TLS", r.TLSMin}, {"legacy ciphers", legacy}, {"tags", strings.Join(r.Tags, " ")}, {"UUID", r.UUID}, {"note", r.Note},
	}
}

type hostListCmd struct {
	Names  []string `arg:"" optional:"" name:"known" help:"Names, ranges, tags; default is all."`
	Search string   `placeholder:"TEXT" help:"Only those with TEXT in name, address, tags, note or UUID, in any case."`
}

func (hostListCmd) Help() string {
	return example("outband host list", "outband host list @lab", "outband host list --search floor", "outband host list -o json")
}

func (c *hostListCmd) Run(a *app) error {
	db, err := a.database()
	if err != nil {
		return err
	}
	list := db.List()
	if len(list) == 0 {
		a.note("no hosts yet; outband host add NAME ADDRESS adds one")
	}
	if len(c.Names) > 0 {
		if list, err = a.known(c.Names); err != nil {
			return err
		}
	}
	return a.listHosts(slices.DeleteFunc(list, func(h hosts.Host) bool {
		text := strings.Join(append([]string{h.Name, h.Address, h.Note, h.UUID}, h.Tags...), "\n")
		return !strings.Contains(strings.ToLower(text), strings.ToLower(c.Search))
	}))
}

// listHosts shows entries of the database, one per line.
func (a *app) listHosts(list []hosts.Host) error {
	address := 0
	for _, h := range list {
		address = max(address, len(h.Address))
	}
	out := a.printer(hostColumn(list), column{"ADDRESS", address}, column{"USER", 8}, column{"PASSWORD", 8}, column{"CERTIFICATE", 11}, column{"TAGS", 0})
	for _, h := range list {
		password, pin := cell{"asked", toneFaint}, cell{"-", toneFaint}
		if h.HasPassword() {
			password = plain("stored")
		}
		switch {
		case h.Pin != "":
			pin = plain("pinned")
		case h.CAFile != "":
			pin = plain("authority")
		}
		if err := out.record(recordOf(h), plain(h.Name), plain(h.Address), plain(h.Username()), password, pin, plain(strings.Join(h.Tags, " "))); err != nil {
			return err
		}
	}
	return nil
}

type hostShowCmd struct {
	Names []string `arg:"" name:"known" help:"Names, ranges, tags."`
}

func (hostShowCmd) Help() string { return example("outband host show nuc1") }

func (c *hostShowCmd) Run(a *app) error {
	list, err := a.known(c.Names)
	if err != nil {
		return err
	}
	out := a.printer()
	for _, h := range list {
		r := recordOf(h)
		if err := out.object(r, "", r.lines()...); err != nil {
			return err
		}
	}
	return nil
}

// known finds entries of the database; an address that has none is a mistake here.
func (a *app) known(words []string) ([]hosts.Host, error) {
	list, err := a.targets(words)
	if err != nil {
		return nil, err
	}
	db, err := a.database()
	if err != nil {
		return nil, err
	}
	for _, h := range list {
		if _, err := db.Get(h.Name); err != nil {
			return nil, usage("outband host list shows the names that are known", "%w", err)
		}
	}
	return list, nil
}

type hostRemoveCmd struct {
	Names []string `arg:"" name:"known" help:"Names, ranges, tags."`
}

func (hostRemoveCmd) Help() string { return example("outband host remove nuc1") }

func (c *hostRemoveCmd) Run(a *app) error {
	list, err := a.known(c.Names)
	if err != nil {
		return err
	}
	names := make([]string, len(list))
	for i, h := range list {
		names[i] = h.Name
	}
	db, err := a.database()
	if err != nil {
		return err
	}
	if err := db.Remove(a.ctx, names...); err != nil {
		return err
	}
	out := a.printer(column{"REMOVED", 0})
	for _, name := range names {
		if err := out.record(map[string]string{"removed": name}, plain(name)); err != nil {
			return err
		}
	}
	return nil
}
