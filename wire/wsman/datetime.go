package wsman

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Datetime is a CIM datetime: a moment, or an interval. On the wire it is a wrapper element that holds a Datetime,
// Date, Time or Interval of [NSCommon]. Releases before 5.1 sent a moment as plain text. Source: DSP0230; spec
// wsman.md section 8.
type Datetime struct {
	Time     time.Time     // the moment, UTC; zero for an interval
	Interval time.Duration // whole seconds or finer
	isSpan   bool
}

// At returns the Datetime of a moment.
func At(t time.Time) Datetime { return Datetime{Time: t.UTC()} }

// Every returns the Datetime of an interval.
func Every(d time.Duration) Datetime { return Datetime{Interval: d, isSpan: true} }

// IsInterval tells an interval, even one of zero, from a moment.
func (d Datetime) IsInterval() bool { return d.isSpan }

// String returns the XML form: 2024-01-03T00:44:35Z or P1DT2H0M0S.
func (d Datetime) String() string {
	if d.isSpan {
		return formatInterval(d.Interval)
	}
	return d.Time.UTC().Format("2006-01-02T15:04:05Z") // to the second, as firmware keeps time
}

// MarshalText writes the XML form.
func (d Datetime) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the XML form.
func (d *Datetime) UnmarshalText(text []byte) error {
	got, err := ParseDatetime(string(text))
	if err == nil {
		*d = got
	}
	return err
}

// Element returns the wrapper of that name.
func (d Datetime) Element(space, local string) Element {
	inner := "Datetime"
	if d.isSpan {
		inner = "Interval"
	}
	return Group(space, local, El(NSCommon, inner, d.String()))
}

// DatetimeOf reads the wrapper element, or plain text.
func DatetimeOf(e *Element) (Datetime, error) {
	if e == nil {
		return Datetime{}, errors.New("wsman: no date and time")
	}
	text := e.TrimText()
	for i := range e.Children {
		switch c := &e.Children[i]; c.Local {
		case "Datetime", "Date", "Time", "Interval", "CIM_DateTime":
			text = c.TrimText()
		}
	}
	return ParseDatetime(text)
}

// ParseDatetime reads an XML dateTime, date or duration, or a CIM datetime string of 25 characters.
func ParseDatetime(text string) (Datetime, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "P") || strings.HasPrefix(text, "-P") {
		d, err := parseInterval(text)
		return Every(d), err
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02Z07:00", "2006-01-02", "15:04:05Z07:00", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil && writable(t) {
			return At(t), nil
		}
	}
	if len(text) == 25 && text[14] == '.' {
		if d, ok := parseCIM(text); ok {
			return d, nil
		}
	}
	return Datetime{}, fmt.Errorf("wsman: %.40q is neither a date and time nor an interval", text)
}

// writable reports whether the moment has a form with four digits for the year in UTC.
func writable(t time.Time) bool { return t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 }

// parseCIM reads yyyymmddhhmmss.mmmmmm and the offset of local time from UTC in minutes, or ddddddddhhmmss.mmmmmm:000.
// DSP0004 5.2.4.
func parseCIM(text string) (Datetime, bool) {
	if text[21] == ':' {
		days, err1 := strconv.ParseUint(text[:8], 10, 16) // 65535 days are 179 years
		h, err2 := strconv.ParseUint(text[8:10], 10, 8)
		m, err3 := strconv.ParseUint(text[10:12], 10, 8)
		s, err4 := strconv.ParseUint(text[12:14], 10, 8)
		us, err5 := strconv.ParseUint(text[15:21], 10, 32)
		if errors.Join(err1, err2, err3, err4, err5) != nil || text[22:] != "000" || h > 23 || m > 59 || s > 59 {
			return Datetime{}, false
		}
		seconds := ((days*24+h)*60+m)*60 + s
		return Every(time.Duration(seconds)*time.Second + time.Duration(us)*time.Microsecond), true
	}
	t, err := time.Parse("20060102150405.000000", text[:21])
	minutes, bad := strconv.ParseUint(text[22:], 10, 16)
	if err != nil || bad != nil || text[21] != '+' && text[21] != '-' {
		return Datetime{}, false
	}
	offset := time.Duration(minutes) * time.Minute
	if text[21] == '+' {
		offset = -offset
	}
	t = t.Add(offset)
	return At(t), writable(t)
}

func formatInterval(d time.Duration) string {
	sign, n := "", uint64(d)
	if d < 0 {
		sign, n = "-", -n
	}
	s, fraction := n/1e9, ""
	if n%1e9 != 0 {
		fraction = strings.TrimRight(fmt.Sprintf(".%09d", n%1e9), "0")
	}
	return fmt.Sprintf("%sP%dDT%dH%dM%d%sS", sign, s/86400, s/3600%24, s/60%60, s%60, fraction)
}

// parseInterval reads an XML duration of years, months, days, hours, minutes and seconds. A year counts 365 days and a
// month 30, since there is no moment to count from.
func parseInterval(text string) (time.Duration, error) {
	bad := fmt.Errorf("wsman: bad interval %.40q", text)
	rest, negative := strings.CutPrefix(text, "-")
	rest = rest[1:]
	if rest == "" || strings.HasSuffix(rest, "T") {
		return 0, bad
	}
	units := map[byte]float64{'Y': 365 * 86400, 'M': 30 * 86400, 'D': 86400}
	total, digits, clock := 0.0, 0, false
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == 'T' && digits == i && !clock:
			units = map[byte]float64{'H': 3600, 'M': 60, 'S': 1}
			digits, clock = i+1, true
		case c >= '0' && c <= '9' || c == '.':
		default:
			n, err := strconv.ParseFloat(rest[digits:i], 64)
			unit, ok := units[c]
			if err != nil || !ok {
				return 0, bad
			}
			delete(units, c)
			total += n * unit
			digits = i + 1
		}
	}
	if digits != len(rest) || total*1e9 >= math.MaxInt64 {
		return 0, bad
	}
	d := time.Duration(math.Round(total * 1e9))
	if negative {
		d = -d
	}
	return d, nil
}
