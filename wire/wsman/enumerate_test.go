package wsman

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A lister is a handler that enumerates, with the habits that a test gives it.
type lister struct {
	items    int
	most     int    // items in an answer, whatever is asked for
	optimize string // "": the option is ignored; "yes"; or "fault"
	sameContext,
	noContext bool // how PullResponse names the context: as before, or not at all

	at, counter int
	context     string
	open        int // contexts held
	pulls       []int
}

const pullClass = NSCIM + "CIM_Sensor"

func (l *lister) ServeWSMan(_ context.Context, req *Request) (*Response, error) {
	switch req.Action {
	case ActionEnumerate:
		l.at, l.pulls = 0, nil
		option := req.Body.Child("OptimizeEnumeration") != nil
		if option && l.optimize == "fault" {
			return nil, ErrUnsupportedFeature
		}
		l.open++
		l.next()
		var parts []Element
		if option && l.optimize == "yes" {
			parts = l.part(req, NSWSMan)
		} else {
			parts = []Element{El(NSEnumeration, "EnumerationContext", l.context)}
		}
		body := Group(NSEnumeration, "EnumerateResponse", parts...)
		return &Response{Body: &body}, nil
	case ActionPull:
		if got := req.Body.ChildText("EnumerationContext"); got != l.context || l.open == 0 {
			return nil, ErrInvalidEnumerationContext
		}
		if !l.sameContext && !l.noContext {
			l.next()
		}
		n, err := strconv.Atoi(req.Body.ChildText("MaxElements"))
		if err != nil {
			return nil, ErrInvalidParameter
		}
		l.pulls = append(l.pulls, n)
		body := Group(NSEnumeration, "PullResponse", l.part(req, NSEnumeration)...)
		return &Response{Body: &body}, nil
	case ActionRelease:
		if req.Body.ChildText("EnumerationContext") != l.context || l.open == 0 {
			return nil, ErrInvalidEnumerationContext
		}
		l.open--
		return &Response{}, nil
	}
	return nil, ErrActionNotSupported
}

func (l *lister) next() {
	l.counter++
	l.context = fmt.Sprintf("A&B<%d>", l.counter)
}

func (l *lister) part(req *Request, space string) []Element {
	items := Element{Name: Name{space, "Items"}}
	for n := 0; l.at < l.items && n < l.most; n++ {
		items.Children = append(items.Children, Group(pullClass, "CIM_Sensor", El(pullClass, "DeviceID", strconv.Itoa(l.at))))
		l.at++
	}
	if l.at == l.items {
		l.open--
		return []Element{items, {Name: Name{space, "EndOfSequence"}}}
	}
	if l.noContext && req.Action == ActionPull {
		return []Element{items}
	}
	return []Element{El(NSEnumeration, "EnumerationContext", l.context), items}
}

func ids(t *testing.T, rt RoundTripper, o *EnumerateOptions) (got []string, err error) {
	t.Helper()
	for item, e := range Enumerate(t.Context(), rt, "CIM_Sensor", nil, o) {
		if e != nil {
			if item != nil || err != nil {
				t.Errorf("item %v with error %v", item, e)
			}
			err = e
			continue
		}
		got = append(got, item.ChildText("DeviceID"))
	}
	return got, err
}

func TestEnumerateToTheEnd(t *testing.T) {
	for _, optimize := range []string{"", "yes", "fault"} {
		for _, most := range []int{1, 3, 100} {
			for _, items := range []int{0, 1, 3, 100} {
				for _, form := range []string{"new", "same", "none"} {
					l := &lister{items: items, most: most, optimize: optimize, sameContext: form == "same", noContext: form == "none"}
					rt := &local{Handler: l}
					got, err := ids(t, rt, nil)
					if err != nil || len(got) != items || items > 0 && got[items-1] != strconv.Itoa(items-1) {
						t.Errorf("optimize %q, %d of %d, context %s: got %d items, %v", optimize, most, items, form, len(got), err)
					}
					if l.open != 0 {
						t.Errorf("optimize %q, %d of %d, context %s: %d contexts left", optimize, most, items, form, l.open)
					}
					if slices.ContainsFunc(l.pulls, func(n int) bool { return n != DefaultMaxElements }) {
						t.Errorf("pulls ask for %v", l.pulls)
					}
				}
			}
		}
	}
}

func TestEnumerateRemembers(t *testing.T) {
	l := &lister{items: 2, most: 5, optimize: "fault"}
	m := &machine{answer: serve(l)}
	c := m.client(t, &Client{})
	for range 2 {
		if got, err := ids(t, c, nil); len(got) != 2 || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if _, requests, _ := m.count(); requests != 5 { // refused, enumerate, pull; enumerate, pull
		t.Errorf("%d requests", requests)
	}
	// A class that is not there says nothing about the option, and costs one request.
	m = &machine{answer: serve(handlerFunc(func(context.Context, *Request) (*Response, error) {
		return nil, ErrDestinationUnreachable
	}))}
	c = m.client(t, &Client{})
	if got, err := ids(t, c, nil); len(got) != 0 || !errors.Is(err, ErrDestinationUnreachable) || c.RefusesOptimize() {
		t.Errorf("got %v, %v", got, err)
	}
	if _, requests, _ := m.count(); requests != 1 {
		t.Errorf("%d requests", requests)
	}
	// Nor does a fault that comes without it as well.
	m.answer = serve(handlerFunc(func(context.Context, *Request) (*Response, error) { return nil, ErrInternal }))
	if _, err := ids(t, c, nil); !errors.Is(err, ErrInternal) || c.RefusesOptimize() {
		t.Errorf("got %v", err)
	}
}

func TestEnumerateReleases(t *testing.T) {
	for _, optimize := range []string{"", "yes"} {
		for _, stop := range []int{1, 2, 4} {
			l := &lister{items: 5, most: 2, optimize: optimize}
			rt := &local{Handler: l}
			n := 0
			for _, err := range Enumerate(t.Context(), rt, "CIM_Sensor", nil, nil) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == stop {
					break
				}
			}
			if l.open != 0 || rt.requests[len(rt.requests)-1] != "Release CIM_Sensor" {
				t.Errorf("stopped at %d: %d contexts left; %v", stop, l.open, rt.requests)
			}
		}
	}
	// One that has come to its end, though the caller stopped at the last item, is not released.
	l := &lister{items: 5, most: 5, optimize: "yes"}
	rt := &local{Handler: l}
	for range Enumerate(t.Context(), rt, "CIM_Sensor", nil, nil) {
		break
	}
	if len(rt.requests) != 1 || l.open != 0 {
		t.Errorf("%v, %d open", rt.requests, l.open)
	}
	// A cancelled one is.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l = &lister{items: 5, most: 1}
	m := &machine{answer: serve(l)}
	c := m.client(t, &Client{})
	var last error
	for item, err := range Enumerate(ctx, c, "CIM_Sensor", nil, nil) {
		if item != nil {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || l.open != 0 {
		t.Errorf("%v, %d open", last, l.open)
	}
}

func TestEnumerateLimit(t *testing.T) {
	l := &lister{items: 10, most: 3}
	got, err := ids(t, &local{Handler: l}, &EnumerateOptions{MaxItems: 7, MaxElements: 3})
	if len(got) != 7 || !errors.Is(err, ErrTooLong) || l.open != 0 {
		t.Errorf("got %d items, %v, %d open", len(got), err, l.open)
	}
	got, err = ids(t, &local{Handler: &lister{items: 10, most: 3}}, &EnumerateOptions{MaxItems: 10})
	if len(got) != 10 || err != nil {
		t.Errorf("got %d items, %v", len(got), err)
	}
}

// Machines that would have a simple loop run for ever.
func TestEnumerateWithoutEnd(t *testing.T) {
	for name, parts := range map[string][]Element{
		"nothing":           nil,
		"same context":      {El(NSEnumeration, "EnumerationContext", "1")},
		"no items":          {El(NSEnumeration, "EnumerationContext", "1"), {Name: Name{NSEnumeration, "Items"}}},
		"always an item":    {El(NSEnumeration, "EnumerationContext", "1"), Group(NSEnumeration, "Items", El("", "x", ""))},
		"items, no context": {Group(NSEnumeration, "Items", El("", "x", ""))},
	} {
		for _, pull := range []bool{false, true} {
			n := 0
			rt := &local{Handler: handlerFunc(func(_ context.Context, req *Request) (*Response, error) {
				n++
				body := Group(NSEnumeration, "EnumerateResponse", parts...)
				if req.Action != ActionEnumerate {
					body.Local = "PullResponse"
				} else if pull {
					body.Children = []Element{El(NSEnumeration, "EnumerationContext", "1")}
				}
				return &Response{Body: &body}, nil
			})}
			_, err := ids(t, rt, &EnumerateOptions{MaxItems: 50})
			if err == nil || n > 53 {
				t.Errorf("%s, pull %v: %v after %d requests", name, pull, err, n)
			}
		}
	}
}

func TestEnumerateFaultInTheMiddle(t *testing.T) {
	l := &lister{items: 5, most: 2}
	rt := &local{Handler: handlerFunc(func(ctx context.Context, req *Request) (*Response, error) {
		if l.at == 4 {
			return nil, ErrTimedOut
		}
		return l.ServeWSMan(ctx, req)
	})}
	got, err := ids(t, rt, nil)
	if len(got) != 4 || !errors.Is(err, ErrTimedOut) || rt.requests[len(rt.requests)-1] != "Pull CIM_Sensor" {
		t.Errorf("got %v, %v; %v", got, err, rt.requests)
	}
}

func TestEnumerateOptions(t *testing.T) {
	filter := Group(NSWSMan, "Filter", El(NSWSMan, "x", nasty))
	filter.Attrs = []Attr{{Name{Local: "Dialect"}, NSWSMan + "/SelectorFilter"}}
	var got *Request
	rt := &local{Handler: handlerFunc(func(_ context.Context, req *Request) (*Response, error) {
		got = req
		return nil, ErrFilteringNotSupported
	})}
	sel := Selectors{{Name: "a", Value: "b"}}
	o := &EnumerateOptions{Mode: ModeEPR, Filter: &filter, NoOptimize: true}
	for _, err := range Enumerate(t.Context(), rt, AllClasses, sel, o) {
		if !errors.Is(err, ErrFilteringNotSupported) {
			t.Error(err)
		}
	}
	var names []string
	for _, e := range got.Body.Children {
		names = append(names, e.Local)
	}
	dialect, _ := got.Body.Child("Filter").Attr("Dialect")
	if strings.Join(names, " ") != "Filter EnumerationMode" || dialect != NSWSMan+"/SelectorFilter" ||
		got.Body.ChildText("EnumerationMode") != "EnumerateEPR" || !got.Selectors.Equal(sel) || got.ResourceURI != AllClasses {
		t.Errorf("asked %+v", got)
	}
}

// Recorded: an Enumerate and a Pull of CIM_Chip that ends with a context, as more is to come.
func TestEnumerateRecorded(t *testing.T) {
	answers := []string{"enumerate-chip.xml", "pull-chip.xml"}
	rt := roundTripper(func(_ context.Context, req *Request) (*Response, error) {
		if len(answers) == 0 {
			if got := req.Body.ChildText("EnumerationContext"); got != "D4020000-0000-0000-0000-000000000000" {
				t.Errorf("asked with context %q", got)
			}
			body := Group(NSEnumeration, "PullResponse", Group(NSEnumeration, "Items"), El(NSEnumeration, "EndOfSequence", ""))
			return &Response{Body: &body}, nil
		}
		doc := testdata(t, answers[0])
		answers = answers[1:]
		return ParseResponse(doc)
	})
	n := 0
	for item, err := range Enumerate(t.Context(), rt, "CIM_Chip", nil, nil) {
		if err != nil || item.ChildText("Tag") != "CPU 0" {
			t.Errorf("got %+v, %v", item, err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d items", n)
	}
}

type roundTripper func(ctx context.Context, req *Request) (*Response, error)

func (f roundTripper) RoundTrip(ctx context.Context, req *Request) (*Response, error) {
	return f(ctx, req)
}
