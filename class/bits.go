package class

import (
	"strconv"
	"strings"
)

// Bits collects the texts of a number whose bits have meanings of their own.
type Bits struct{ texts []string }

// Add adds a text if its bit is set.
func (b *Bits) Add(set bool, text string) {
	if set {
		b.texts = append(b.texts, text)
	}
}

// String joins the texts; zero is the text where no bit is set, rest are bits without a meaning.
func (b *Bits) String(zero string, rest uint64) string {
	if rest != 0 {
		b.texts = append(b.texts, "unknown (0x"+strconv.FormatUint(rest, 16)+")")
	}
	if len(b.texts) == 0 {
		return zero
	}
	return strings.Join(b.texts, ", ")
}
