package model

import "strings"

// A Release is a firmware release, major and minor: 16.1. The zero Release is older than all.
type Release struct{ Major, Minor int }

// ParseRelease reads the number that a text begins with: "7.0 (6.2 on some)", "16.1.27", "17.x". ok is false if there
// is none. A minor of x is larger than any other.
func ParseRelease(text string) (r Release, ok bool) {
	text = strings.TrimSpace(text)
	n, rest := digits(text)
	if rest == text || len(text)-len(rest) > 4 {
		return Release{}, false
	}
	r.Major = n
	if minor, found := strings.CutPrefix(rest, "."); found {
		switch n, after := digits(minor); {
		case strings.HasPrefix(minor, "x"):
			r.Minor = anyMinor
		case after != minor && len(minor)-len(after) <= 4:
			r.Minor = n
		}
	}
	return r, true
}

const anyMinor = 9999

func digits(text string) (n int, rest string) {
	i := 0
	for i < len(text) && i < 9 && text[i] >= '0' && text[i] <= '9' {
		n = n*10 + int(text[i]-'0')
		i++
	}
	return n, text[i:]
}

// Compare returns -1, 0 or 1.
func (r Release) Compare(other Release) int {
	switch {
	case r.Major != other.Major:
		return sign(r.Major - other.Major)
	default:
		return sign(r.Minor - other.Minor)
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// In reports whether the class exists in a release, as far as Since and Until tell. Texts without a number count as
// "always".
func (c *Class) In(r Release) bool {
	if since, ok := ParseRelease(c.Since); ok && r.Compare(since) < 0 {
		return false
	}
	if until, ok := ParseRelease(c.Until); ok && r.Compare(until) > 0 {
		return false
	}
	return true
}
