package firmware

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const productName = "Intel&reg; Active Management Technology"

// registerWeb gives the machine the pages that a browser sees. Their paths are those of real machines as far as known
// (spec wsman.md section 4); their words are ours.
func registerWeb(t *table) {
	t.route("/", route{open: true, serve: func(context.Context, *Machine, *request) reply {
		return reply{status: http.StatusSeeOther, header: []string{"Location: /logon.htm"}}
	}})
	web := func(m *Machine) bool { return m.webOn() }
	t.route("/logon.htm", route{open: true, on: web, serve: replaceable("logon.htm", logonPage)})
	t.route("/styles.css", route{open: true, on: web, serve: styles})
	t.route("/index.htm", route{on: web, serve: replaceable("index.htm", statusPage)})
	t.route("/hw-sys.htm", route{on: web, realms: inventory, serve: hardwarePage})
	t.route("/remote.htm", route{on: web, realms: Realms(RealmRemoteControl), serve: remotePage})
	t.route("/remoteform", route{on: web, realms: Realms(RealmRemoteControl), serve: remoteForm})
}

// webOn reports whether the machine shows its pages: the release has them and AMT_WebUIService has not switched them off.
func (m *Machine) webOn() bool {
	if !m.profile.Web {
		return false
	}
	ci := m.catalogue.classes["AMT_WebUIService"]
	if ci == nil {
		return true
	}
	v, err := m.find(ci, nil)
	return err != nil || v.element.ChildText("EnabledState") != "3"
}

// page makes a page without navigation: what errors look like.
func page(code int, title, text string) reply {
	return reply{status: code, contentType: "text/html", body: document(title, "<p>"+html.EscapeString(text)+"</p>")}
}

// document frames a page. A client of old counts on the end tag in the same octets.
func document(title, body string) []byte {
	return fmt.Appendf(nil, `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">`+"\n"+
		`<html><head><link rel=stylesheet href=/styles.css>`+"\n"+
		`<meta http-equiv="Content-Type" content="text/html; charset=utf-8">`+"\n"+
		`<title>%s</title></head>`+"\n"+`<body>`+"\n"+`<table class=header><tr><td valign=top nowrap>`+"\n"+
		`<p class=top1>%s</p></td></tr></table><br>`+"\n"+`<h2 class=warn>%s</h2>`+"\n%s\n</body>\n</html>\n", productName, productName, html.EscapeString(title), body)
}

// framed is document with the links between pages.
func (m *Machine) framed(title, body string) reply {
	id := m.Identity()
	nav := `<p class=nav><a href="/index.htm">System Status</a> | <a href="/hw-sys.htm">Hardware Information</a> | <a href="/remote.htm">Remote Control</a></p>` +
		`<p>Computer: ` + html.EscapeString(id.HostName) + `</p>` + m.storageLinks()
	return reply{status: http.StatusOK, contentType: "text/html", body: document(title, nav+body)}
}

func logonPage(_ context.Context, m *Machine, _ *request) reply {
	return reply{status: http.StatusOK, contentType: "text/html", body: document("Log On",
		`<p>Log on to see and control this computer.</p><form method="GET" action="/index.htm"><h2><input type=submit value="Log On..."></h2></form>`)}
}

func styles(context.Context, *Machine, *request) reply {
	return reply{status: http.StatusOK, contentType: "text/css", body: []byte("body{font-family:sans-serif;margin:1em}.top1{font-size:150%}.warn{font-size:120%}td{padding:2px 12px 2px 0}\n")}
}

// rows makes a table of name and value in turn.
func rows(nameValue ...string) string {
	var b strings.Builder
	b.WriteString("<table>")
	for i := 0; i+1 < len(nameValue); i += 2 {
		fmt.Fprintf(&b, "<tr><td>%s</td><td>%s</td></tr>\n", html.EscapeString(nameValue[i]), html.EscapeString(nameValue[i+1]))
	}
	b.WriteString("</table>")
	return b.String()
}

func statusPage(_ context.Context, m *Machine, _ *request) reply {
	id := m.Identity()
	return m.framed("System Status", rows(
		"Power", m.powerWord(),
		"IP address", m.address(),
		"System ID", id.UUID.String(),
		"Date", m.now().UTC().Format("1/2/2006"),
		"Time", m.now().UTC().Format("3:04 pm")))
}

// powerWord says the power state in a word.
func (m *Machine) powerWord() string {
	switch m.powerOf() {
	case S0:
		return "On"
	case S3, S4:
		return "Standby"
	}
	return "Off"
}

// hardwarePage shows what CIM says of chassis, board, processor and memory.
func hardwarePage(_ context.Context, m *Machine, _ *request) reply {
	var b strings.Builder
	for _, name := range []string{"CIM_Chassis", "CIM_Card", "CIM_BIOSElement", "CIM_Chip", "CIM_PhysicalMemory", "CIM_MediaAccessDevice"} {
		ci := m.catalogue.classes[name]
		if ci == nil {
			continue
		}
		for _, v := range m.views(ci) {
			b.WriteString("<h3>" + html.EscapeString(v.element.ChildText("ElementName")) + "</h3>")
			b.WriteString(rows(fields(&v.element, "Manufacturer", "Model", "Version", "SerialNumber", "Capacity", "MaxMediaSize")...))
		}
	}
	return m.framed("Hardware Information", b.String())
}

// fields returns those of the named properties that an instance has, as name and value in turn.
func fields(e *wsman.Element, names ...string) (out []string) {
	for _, name := range names {
		if value := e.ChildText(name); value != "" {
			out = append(out, name, value)
		}
	}
	return out
}

// remoteCommands are the buttons of the remote control page.
var remoteCommands = []struct {
	value, label string
	state        cim.PowerState
}{
	{"1", "Turn power off", cim.PowerStateOffSoft},
	{"2", "Cycle power off and on", cim.PowerStateCycleSoft},
	{"3", "Reset", cim.PowerStateMasterBusReset},
	{"4", "Turn power on", cim.PowerStateOn},
}

func remotePage(_ context.Context, m *Machine, _ *request) reply {
	var b strings.Builder
	b.WriteString(rows("Power state", m.powerWord()))
	b.WriteString(`<form method="POST" action="/remoteform">`)
	available := m.available()
	for _, c := range remoteCommands {
		disabled := " disabled"
		for _, s := range available {
			if s == c.state {
				disabled = ""
			}
		}
		fmt.Fprintf(&b, `<label><input type=radio name="amt_html_rc_radio_group" value="%s"%s>%s</label><br>`+"\n", c.value, disabled, c.label)
	}
	b.WriteString(`<p><input type=submit value="Send Command"></p></form>`)
	return m.framed("Remote Control", b.String())
}

// remoteForm carries out what the remote control page sends.
func remoteForm(ctx context.Context, m *Machine, r *request) reply {
	form, err := url.ParseQuery(string(r.body))
	if r.method != http.MethodPost || err != nil || form.Get("amt_html_rc_radio_group") == "" {
		a := page(http.StatusBadRequest, "Bad Request", "Missing required parameter in the request.")
		a.close = true
		return a
	}
	for _, c := range remoteCommands {
		if c.value != form.Get("amt_html_rc_radio_group") {
			continue
		}
		if code := m.requestPower(ctx, c.state, m.storedPlan); code != status.Success {
			return m.framed("Remote Control", "<p>The command was not carried out.</p>")
		}
		return m.framed("Remote Control", "<p>"+html.EscapeString(c.label)+": the command was sent.</p>")
	}
	a := page(http.StatusBadRequest, "Bad Request", "Unknown command.")
	a.close = true
	return a
}
