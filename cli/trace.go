package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// writeTrace writes one exchange for people to read. Secrets were taken out before.
func writeTrace(w io.Writer, address string, e wsman.TraceEvent) {
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s %s %s %s", e.Start.UTC().Format(time.RFC3339Nano), address, e.Method, e.Path)
	if e.Reused {
		out.WriteString(" (kept connection)")
	}
	out.WriteByte('\n')
	out.Write(indentXML([]byte(e.Request)))
	switch {
	case e.Err != nil:
		fmt.Fprintf(&out, "\n--- failed after %v: %s\n\n", e.Took.Round(time.Microsecond), oneLine(e.Err.Error()))
	default:
		fmt.Fprintf(&out, "\n--- %d after %v, %s\n", e.Status, e.Took.Round(time.Microsecond), e.Server)
		out.Write(indentXML([]byte(e.Response)))
		out.WriteByte('\n')
	}
	io.WriteString(w, out.String()) // a trace that cannot be written must not stop the work
}
