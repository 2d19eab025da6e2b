package gen

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/outband/outband/class/model"
)

// packageOf returns the package of a class or enum: "cim" for CIM_Chip and CIM_Chip.FormFactor.
func packageOf(name string) string {
	schema, _, _ := strings.Cut(name, "_")
	return strings.ToLower(schema)
}

// goName returns the Go name of a class or enum in its package: Chip, ChipFormFactor. Names that begin with a digit,
// as AMT_8021XProfile, get IEEE before it.
func goName(name string) string {
	_, name, _ = strings.Cut(name, "_")
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = fieldName(parts[i])
	}
	return strings.Join(parts, "")
}

// qualified returns the Go name as seen from a package.
func qualified(pkg, name string) string {
	if other := packageOf(name); other != pkg {
		return other + "." + goName(name)
	}
	return goName(name)
}

// fieldName returns the exported name of a property.
func fieldName(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	if unicode.IsDigit(r) {
		return "IEEE" + name
	}
	return string(unicode.ToUpper(r)) + name[n:]
}

// reserved reports whether a field of that name would hide something that every struct has.
func reserved(field string) bool {
	switch field {
	case "ClassName", "Selectors", "Element", "Decode", "Build", "Extra", "IsBaseOf", "WriteOnly":
		return true
	}
	return false
}

// constName returns the name of an enum's constant: PowerStateOn.
func constName(e *model.Enum, v model.Value) string {
	end := v.Go
	if end == "" {
		end = camel(v.Text)
	}
	return goName(e.Name) + end
}

// camel joins the words of a text, each with a capital: "off soft, graceful" becomes OffSoftGraceful.
func camel(text string) string {
	var out strings.Builder
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !isWord(r) }) {
		r, n := utf8.DecodeRuneInString(word)
		out.WriteRune(unicode.ToUpper(r))
		out.WriteString(word[n:])
	}
	return out.String()
}

func isWord(r rune) bool { return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// goType returns the type of a field and whether it is one of the types that Number and ReadNumber handle.
func goType(pkg string, p model.Property) string {
	elem, pointer := "", "*"
	switch p.Type {
	case model.String, model.HexBinary:
		elem = "string"
	case model.Boolean:
		elem = "bool"
	case model.Real32, model.Real64:
		elem = "float64"
	case model.Base64:
		elem, pointer = "[]byte", ""
	case model.Datetime:
		elem = "wsman.Datetime"
	case model.Ref:
		elem = "wsman.EPR"
	case model.Object:
		elem = "wsman.Element"
	default:
		elem = strings.Replace(string(p.Type), "sint", "int", 1)
		if p.Enum != "" {
			elem = qualified(pkg, p.Enum)
		}
	}
	if p.Array {
		return "[]" + elem
	}
	return pointer + elem
}

// verb returns the runtime's name for a type: the X of class.ReadX and Builder.X.
func verb(p model.Property) string {
	name := "Number"
	switch p.Type {
	case model.String, model.HexBinary:
		name = "String"
	case model.Boolean:
		name = "Bool"
	case model.Real32, model.Real64:
		name = "Real"
	case model.Base64:
		if p.Array {
			return "BytesList"
		}
		return "Bytes"
	case model.Datetime:
		name = "Datetime"
	case model.Ref:
		name = "Ref"
	case model.Object:
		name = "Object"
	}
	if p.Array {
		name += "s"
	}
	return name
}

// fieldComment says what the type does not.
func fieldComment(p model.Property, parameter bool) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)+".") }
	if p.Key && !parameter {
		add("Key")
	}
	switch p.Access {
	case "rw":
		add("Writable")
	case "w":
		add("Write-only")
	}
	if p.PutRequired {
		add("Put needs it")
	}
	if parameter && p.Required {
		add("Required")
	}
	switch {
	case p.RefClass != "" && p.Type == model.Object:
		add("A %s", p.RefClass)
	case p.RefClass != "":
		add("Names a %s", p.RefClass)
	}
	switch {
	case p.MaxLen > 0 && p.Type == model.Base64:
		add("At most %d octets", p.MaxLen)
	case p.MaxLen > 0:
		add("At most %d characters", p.MaxLen)
	}
	if p.Note != "" {
		add("%s", upperFirst(p.Note))
	}
	if p.Type == model.HexBinary && p.Note == "" {
		add("Octets as text")
	}
	if p.ObservedOnly {
		add("In no definition, but sent")
	}
	return strings.Join(parts, " ")
}

func upperFirst(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// lowerFirst makes the first letter small, unless the word is all capitals or a name.
func lowerFirst(text string) string {
	word, _, _ := strings.Cut(text, " ")
	for i, r := range word {
		if i > 0 && unicode.IsUpper(r) || unicode.IsDigit(r) {
			return text
		}
	}
	if word == "Kerberos" || word == "Ethernet" {
		return text
	}
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToLower(r)) + text[n:]
}

// sentence ends a text with one full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.TrimRight(text, ". ") + "."
}
