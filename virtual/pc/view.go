package pc

import (
	"fmt"
	"time"

	"github.com/outband/outband/virtual/firmware"
)

// A view is a picture of the PC: text, or a desktop with text in a window. Neither is a dark screen.
type view struct {
	text    *text
	desktop *desktop
	splash  bool     // the maker's logo, while the BIOS tests
	stream  []string // with text: lines of the operating system to send to a serial line as they are
	sent    int      // lines ever, at the end of stream
	input   string   // behind the last line of stream
}

// A desktop is what the operating system shows in graphics.
type desktop struct {
	lines   []string
	input   string
	x, y    int
	buttons uint8
	monitor int // where the pointer is
	clock   string
	hung    bool
}

// view describes what is to be seen. serial is the view of the serial port: what the BIOS shows there only if the boot
// was to, and the operating system in text.
func (p *PC) view(serial bool) view {
	p.mu.Lock()
	defer p.mu.Unlock()
	plan := &p.boot.Plan
	if p.power != firmware.S0 {
		return view{}
	}
	switch p.phase {
	case Running, Starting, Stopping, Hung:
		v := view{stream: append([]string{}, p.face.lines...), sent: p.face.printed}
		if p.phase == Running {
			v.input = p.prompt() + string(p.face.input)
		}
		if !serial && p.phase != Starting {
			clock := p.o.Clock
			if clock == "" {
				clock = time.Now().Format("15:04")
			}
			v.desktop = &desktop{v.stream, v.input, p.face.x, p.face.y, p.face.buttons, p.face.monitor, clock, p.phase == Hung}
			return v
		}
		v.text = console(v.stream, v.input)
		return v
	case SelfTest:
		if serial && !plan.SOL || plan.Verbosity == verbosityBlank {
			return view{}
		}
		return view{text: p.testPage(), splash: !serial && !plan.SOL && len(p.lines) == 0 && plan.Verbosity != verbosityVerbose}
	}
	if serial && !plan.SOL {
		return view{}
	}
	t := newText(gray, black)
	switch p.phase {
	case Setup:
		t = p.setupPage()
	case Menu:
		t = p.menuPage()
	case Paused:
		t.print("The start was paused by the administrator.").print("").print("Press any key to continue")
	case NoMedium:
		t.print("No bootable device.").print("").print("Insert a boot medium and press any key")
		if from := plan.Source; from != firmware.BootDefault {
			t.at(0, 0).print("No bootable device: %v is empty or does not boot.", from)
		}
	}
	return view{text: t}
}

// Values of BootPlan.Verbosity.
const (
	verbosityVerbose = 2
	verbosityBlank   = 3
)

const biosName = "Outband virtual BIOS"

func (p *PC) testPage() *text {
	t := newText(gray, black)
	t.colours(white, black).print(biosName).colours(gray, black).print("")
	t.print("Processor   virtual, 4 cores").print("Memory      8192 MB OK")
	disk := "none"
	if p.media[firmware.BootDisk] {
		disk = "virtual disk, 256 GB"
	}
	t.print("Disk        %s", disk)
	if p.bay != nil {
		t.print("Redirected  floppy and CD of the console")
	}
	if s := p.boot.Plan.Source; s != firmware.BootDefault {
		t.print("").print("The management engine asks for a boot from %v", s)
	}
	if len(p.lines) > 0 {
		t.print("")
	}
	for _, line := range p.lines[max(0, len(p.lines)-10):] {
		t.print("%s", line)
	}
	t.at(0, 22).print("F2 or Del: setup   F12: boot menu")
	switch p.face.entry {
	case 1:
		t.print("The setup follows")
	case 2:
		t.print("The boot menu follows")
	}
	return t
}

func (p *PC) setupPage() *text {
	t := newText(gray, blue)
	t.colours(white, blue).at(2, 1).print("%s - Setup", biosName)
	for i, line := range setupLines {
		t.colours(gray, blue)
		if i == p.face.choice {
			t.colours(blue, gray)
		}
		t.at(4, 4+i).print(" %-40s ", line)
	}
	t.colours(gray, blue)
	if p.face.choice == 0 {
		t.at(4, 11).print("Boots so far  %d", p.boot.Number).print("Management    AMT, redirection, KVM")
	}
	t.colours(lightCyan, blue).at(2, 23).print("Up, Down: move   Enter: choose   Esc, F10: save and exit")
	return t
}

func (p *PC) menuPage() *text {
	t := newText(gray, blue)
	t.colours(white, blue).at(2, 1).print("Boot once from")
	for i, s := range menuSources {
		t.colours(gray, blue)
		if i == p.face.choice {
			t.colours(blue, gray)
		}
		state := ""
		if !p.media[s] && !(p.bay != nil && redirected(s)) {
			state = "(empty)"
		}
		t.at(4, 3+i).print(" %-20v %-10s ", s, state)
	}
	t.colours(lightCyan, blue).at(2, 23).print("Up, Down: move   Enter: boot   Esc: as set up")
	return t
}

// console lays the last lines out, and the one that is being typed.
func console(lines []string, input string) *text {
	t := newText(gray, black)
	var rows []string
	for _, line := range append(append([]string(nil), lines...), input) {
		for len(line) > textColumns {
			rows, line = append(rows, line[:textColumns]), line[textColumns:]
		}
		rows = append(rows, line)
	}
	if len(rows) > textRows {
		rows = rows[len(rows)-textRows:]
	}
	for _, row := range rows {
		t.print("%s", row)
	}
	last := rows[len(rows)-1]
	t.at(min(len(last), textColumns-1), len(rows)-1)
	return t
}

func (v view) String() string {
	switch {
	case v.text != nil:
		return v.text.String()
	case v.desktop != nil:
		return fmt.Sprintf("desktop at %s:\n%s", v.desktop.clock, console(v.desktop.lines, v.desktop.input))
	}
	return ""
}
