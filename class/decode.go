package class

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// The Read functions set one field from the element of that name. Generated code calls them. A null value (xsi:nil)
// leaves the field as it is; so does an empty one, except for strings and octets.

// ErrValue is wrapped by all errors about a value that is not of its property's type.
var ErrValue = errors.New("bad value")

// MaxArray is the number of values of one array property, and of elements in Extra, that are accepted.
const MaxArray = 4096

var errArray = fmt.Errorf("%w: more than %d elements", ErrValue, MaxArray)

// BadProperty returns the error of a Decode method: class or method, property, cause.
func BadProperty(class, property string, err error) error {
	return fmt.Errorf("%s.%s: %w", class, property, err)
}

// Integer is any whole number of CIM, or a named type of one.
type Integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int8 | ~int16 | ~int32 | ~int64
}

// ReadExtra keeps an element that the class does not have.
func ReadExtra(list *[]wsman.Element, e *wsman.Element) error {
	if len(*list) == MaxArray {
		return errArray
	}
	*list = append(*list, *e)
	return nil
}

func read[T any](field **T, e *wsman.Element, parse func(*wsman.Element) (T, bool, error)) error {
	v, ok, err := parse(e)
	if ok && err == nil {
		*field = &v
	}
	return err
}

func readList[T any](list *[]T, e *wsman.Element, parse func(*wsman.Element) (T, bool, error)) error {
	v, ok, err := parse(e)
	if !ok || err != nil {
		return err
	}
	if len(*list) == MaxArray {
		return errArray
	}
	*list = append(*list, v)
	return nil
}

// ReadString reads text, which may be empty.
func ReadString(field **string, e *wsman.Element) error { return read(field, e, parseString) }

// ReadStrings appends one value of an array of text.
func ReadStrings(list *[]string, e *wsman.Element) error { return readList(list, e, parseString) }

func parseString(e *wsman.Element) (string, bool, error) { return e.Text, !e.IsNil(), nil }

// ReadBool reads true, false, 1 or 0, in any case.
func ReadBool(field **bool, e *wsman.Element) error { return read(field, e, parseBool) }

// ReadBools appends one value of an array of booleans.
func ReadBools(list *[]bool, e *wsman.Element) error { return readList(list, e, parseBool) }

func parseBool(e *wsman.Element) (v, ok bool, err error) {
	switch text := e.TrimText(); {
	case text == "" || e.IsNil():
		return false, false, nil
	case text == "1" || strings.EqualFold(text, "true"):
		return true, true, nil
	case text == "0" || strings.EqualFold(text, "false"):
		return false, true, nil
	default:
		return false, false, fmt.Errorf("%w: %.40q is not a boolean", ErrValue, text)
	}
}

// ReadNumber reads a whole number.
func ReadNumber[T Integer](field **T, e *wsman.Element) error { return read(field, e, parseNumber[T]) }

// ReadNumbers appends one value of an array of whole numbers.
func ReadNumbers[T Integer](list *[]T, e *wsman.Element) error {
	return readList(list, e, parseNumber[T])
}

func parseNumber[T Integer](e *wsman.Element) (T, bool, error) {
	text := e.TrimText()
	if text == "" || e.IsNil() {
		return 0, false, nil
	}
	var zero T
	if zero-1 > 0 {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && uint64(T(n)) == n {
			return T(n), true, nil
		}
	} else if n, err := strconv.ParseInt(text, 10, 64); err == nil && int64(T(n)) == n {
		return T(n), true, nil
	}
	return 0, false, fmt.Errorf("%w: %.40q is not a number in range", ErrValue, text)
}

// ReadReal reads a number with a fraction.
func ReadReal(field **float64, e *wsman.Element) error { return read(field, e, parseReal) }

// ReadReals appends one value of an array of numbers with a fraction.
func ReadReals(list *[]float64, e *wsman.Element) error { return readList(list, e, parseReal) }

func parseReal(e *wsman.Element) (float64, bool, error) {
	text := e.TrimText()
	if text == "" || e.IsNil() {
		return 0, false, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %.40q is not a number", ErrValue, text)
	}
	return n, true, nil
}

// ReadBytes reads octets in base64. White space in it is accepted.
func ReadBytes(field *[]byte, e *wsman.Element) error {
	v, ok, err := parseBytes(e)
	if ok && err == nil {
		*field = v
	}
	return err
}

// ReadBytesList appends one value of an array of octets in base64.
func ReadBytesList(list *[][]byte, e *wsman.Element) error { return readList(list, e, parseBytes) }

func parseBytes(e *wsman.Element) ([]byte, bool, error) {
	if e.IsNil() {
		return nil, false, nil
	}
	text := e.Text
	if strings.ContainsAny(text, " \t") {
		text = strings.Join(strings.Fields(text), "")
	}
	v, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false, fmt.Errorf("%w: not base64", ErrValue)
	}
	return v, true, nil
}

// ReadDatetime reads a moment or an interval.
func ReadDatetime(field **wsman.Datetime, e *wsman.Element) error {
	return read(field, e, parseDatetime)
}

// ReadDatetimes appends one value of an array of moments or intervals.
func ReadDatetimes(list *[]wsman.Datetime, e *wsman.Element) error {
	return readList(list, e, parseDatetime)
}

func parseDatetime(e *wsman.Element) (wsman.Datetime, bool, error) {
	if e.IsNil() || empty(e) || len(e.Children) == 1 && empty(&e.Children[0]) {
		return wsman.Datetime{}, false, nil
	}
	v, err := wsman.DatetimeOf(e)
	if err != nil {
		return wsman.Datetime{}, false, fmt.Errorf("%w: %v", ErrValue, err)
	}
	return v, true, nil
}

func empty(e *wsman.Element) bool { return len(e.Children) == 0 && e.TrimText() == "" }

// ReadRef reads a reference to another instance.
func ReadRef(field **wsman.EPR, e *wsman.Element) error { return read(field, e, parseRef) }

// ReadRefs appends one value of an array of references.
func ReadRefs(list *[]wsman.EPR, e *wsman.Element) error { return readList(list, e, parseRef) }

func parseRef(e *wsman.Element) (wsman.EPR, bool, error) {
	if e.IsNil() || empty(e) {
		return wsman.EPR{}, false, nil
	}
	v, err := wsman.ParseEPR(e)
	if err != nil {
		return wsman.EPR{}, false, fmt.Errorf("%w: %v", ErrValue, err)
	}
	return v, true, nil
}

// ReadObject keeps an embedded instance; Decode of its class reads it.
func ReadObject(field **wsman.Element, e *wsman.Element) error { return read(field, e, parseObject) }

// ReadObjects appends one value of an array of embedded instances.
func ReadObjects(list *[]wsman.Element, e *wsman.Element) error {
	return readList(list, e, parseObject)
}

func parseObject(e *wsman.Element) (wsman.Element, bool, error) {
	return *e, !e.IsNil() && !empty(e), nil
}
