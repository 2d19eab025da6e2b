package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"charm.land/lipgloss/v2"
	"go.yaml.in/yaml/v4"
	"golang.org/x/term"
)

// A printer writes records: as rows of a table for people, as one JSON object per line, or as YAML documents. It
// writes each at once, so that results are seen as they come; a column is therefore as wide as the caller says.
type printer struct {
	w       io.Writer
	form    string // "table", "json", "yaml"
	styled  bool   // colours are welcome
	columns []column
	records int

	addressOf func(host string) string // of a host that is known by a name; "" of others
	told      *atomic.Bool             // set when a record says what failed; may be nil
}

type column struct {
	title string
	width int // at least
}

// A tone is how a cell is meant, for those who can see colour.
type tone string

const (
	toneGood  tone = "good"
	toneWarn  tone = "warn"
	toneBad   tone = "bad"
	toneFaint tone = "faint"
	toneHead  tone = "head"
)

type cell struct {
	text string
	tone tone
}

func plain(text string) cell { return cell{text: text} }

func (a *app) printer(columns ...column) *printer {
	return &printer{w: a.out, form: a.Output, styled: a.styled(a.out), columns: columns, addressOf: a.session.addressOf, told: &a.session.told}
}

// styled reports whether w shows colours: a terminal, unless the user has said no (https://no-color.org).
func (a *app) styled(w io.Writer) bool {
	return isTerminal(w) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// record writes one record: v for programs, cells for people.
func (p *printer) record(v any, cells ...cell) error {
	p.records++
	switch p.form {
	case "json":
		return p.json(v)
	case "yaml":
		return p.yaml(v)
	}
	var out strings.Builder
	if p.records == 1 {
		head := make([]cell, len(p.columns))
		for i, c := range p.columns {
			head[i] = cell{c.title, toneHead}
		}
		p.row(&out, head)
	}
	p.row(&out, cells)
	_, err := io.WriteString(p.w, out.String())
	return err
}

// failed writes the record of something that did not work: for programs always, for people only as a row among others,
// as they read why on stderr.
func (p *printer) failed(v any, asRow bool, cells []cell) error {
	if p.form == "table" && !asRow {
		return nil
	}
	return p.record(v, cells...)
}

// object writes one thing with many properties: a title, if there is one, and a line each for people.
func (p *printer) object(v any, title string, lines ...[2]string) error {
	p.records++
	switch p.form {
	case "json":
		return p.json(v)
	case "yaml":
		return p.yaml(v)
	}
	var out strings.Builder
	if p.records > 1 {
		out.WriteByte('\n')
	}
	width, margin := 0, ""
	for _, l := range lines {
		width = max(width, lipgloss.Width(l[0]))
	}
	if title != "" {
		out.WriteString(p.paint(cell{title, toneHead}) + "\n")
		margin = "  "
	}
	for _, l := range lines {
		if l[1] == "" {
			continue
		}
		out.WriteString(margin)
		p.pad(&out, cell{l[0], toneFaint}, width+2)
		out.WriteString(oneLine(l[1]) + "\n")
	}
	_, err := io.WriteString(p.w, out.String())
	return err
}

func (p *printer) row(out *strings.Builder, cells []cell) {
	for i, c := range cells {
		if i == len(cells)-1 {
			out.WriteString(p.paint(c))
			break
		}
		width := 0
		if i < len(p.columns) {
			width = max(p.columns[i].width, lipgloss.Width(p.columns[i].title))
		}
		p.pad(out, c, width+2)
	}
	out.WriteByte('\n')
}

func (p *printer) pad(out *strings.Builder, c cell, width int) {
	out.WriteString(p.paint(c))
	if gap := width - lipgloss.Width(oneLine(c.text)); gap > 0 {
		out.WriteString(strings.Repeat(" ", gap))
	} else {
		out.WriteByte(' ')
	}
}

func (p *printer) paint(c cell) string {
	text := oneLine(c.text)
	if !p.styled || c.tone == "" {
		return text
	}
	style := lipgloss.NewStyle()
	switch c.tone {
	case toneGood:
		style = style.Foreground(lipgloss.Green)
	case toneWarn:
		style = style.Foreground(lipgloss.Yellow)
	case toneBad:
		style = style.Foreground(lipgloss.Red)
	case toneFaint:
		style = style.Faint(true)
	case toneHead:
		style = style.Bold(true)
	}
	return style.Render(text)
}

func (p *printer) json(v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write as JSON: %w", err)
	}
	_, err := p.w.Write(p.located(out.Bytes()))
	return err
}

// located puts the address behind the host of a record, where the host is known by a name, so that whoever asked by
// address finds the answer. A record that has an address of its own is left alone.
func (p *printer) located(record []byte) []byte {
	if p.told != nil && bytes.Contains(record, []byte(`"error":{"class":`)) {
		p.told.Store(true)
	}
	const begin = `{"host":`
	rest, ok := bytes.CutPrefix(record, []byte(begin))
	if !ok || p.addressOf == nil {
		return record
	}
	var host string
	var own struct{ Address json.RawMessage }
	d := json.NewDecoder(bytes.NewReader(rest))
	if d.Decode(&host) != nil || json.Unmarshal(record, &own) != nil || own.Address != nil {
		return record
	}
	address := p.addressOf(host)
	if address == "" {
		return record
	}
	at := len(begin) + int(d.InputOffset())
	out := append(bytes.Clone(record[:at]), `,"address":`...)
	quoted, err := json.Marshal(address)
	if err != nil {
		return record
	}
	return append(append(out, quoted...), record[at:]...)
}

// yaml writes what json would, in YAML: JSON is YAML already, only its style is changed.
func (p *printer) yaml(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write as YAML: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(p.located(raw), &doc); err != nil {
		return fmt.Errorf("write as YAML: %w", err)
	}
	blockStyle(&doc)
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return fmt.Errorf("write as YAML: %w", err)
	}
	if p.records > 1 {
		out = append([]byte("---\n"), out...)
	}
	_, err = p.w.Write(out)
	return err
}

func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		blockStyle(child)
	}
}
