package wsman

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// Defaults and limits of [Enumerate].
const (
	DefaultMaxElements = 32
	DefaultMaxItems    = 100000

	maxEmptyPulls  = 4               // answers in a row that bring neither an item nor the end
	releaseTimeout = 2 * time.Second // nobody waits longer for a machine to forget a context
)

// Values of EnumerateOptions.Mode.
const (
	ModeEPR          = "EnumerateEPR"          // items are wsa:EndpointReference
	ModeObjectAndEPR = "EnumerateObjectAndEPR" // items are wsman:Item, which holds the instance and its reference
)

// EnumerateOptions are the settings of [Enumerate]. The zero value, and nil, do.
type EnumerateOptions struct {
	MaxElements int      // items per answer; default 32. Without it firmware sends one at a time
	NoOptimize  bool     // do not ask for items in the first answer
	Mode        string   // "" for instances, ModeEPR or ModeObjectAndEPR
	Filter      *Element // a wsman:Filter or wsen:Filter element
	MaxItems    int      // limit on the whole; default 100000
}

// An EnumerationMemory is a [RoundTripper] that remembers whether its machine refuses optimized enumeration. [Client] is
// one; wrappers that embed a Client are too.
type EnumerationMemory interface {
	RefusesOptimize() bool
	RememberRefusesOptimize()
}

// RefusesOptimize reports whether the machine answered optimized enumeration with a fault before.
func (c *Client) RefusesOptimize() bool { return c.plain.Load() }

// RememberRefusesOptimize notes that it did.
func (c *Client) RememberRefusesOptimize() { c.plain.Store(true) }

// An EnumerationLimit is a [RoundTripper] that lets few enumerations run at once: firmware has room for few, and forgets the
// oldest for a new one.
type EnumerationLimit interface {
	// BeginEnumeration waits for a place, which end gives back. The error is that of ctx.
	BeginEnumeration(ctx context.Context) (end func(), err error)
}

// Enumerate yields all instances of a class and of those that derive from it, to the end of the sequence, in as many
// Pulls as the machine needs. The first answer may bring items already (DSP0226 8.2.3); a machine that refuses the
// request for that is asked again without it, and remembered. An error is yielded once, last, with a nil element. When
// the caller stops early, the machine is told to forget the enumeration. With an [EnumerationLimit] a loop keeps its place
// until its end: what it enumerates in its turn needs one more.
func Enumerate(ctx context.Context, rt RoundTripper, uri string, sel Selectors, o *EnumerateOptions) iter.Seq2[*Element, error] {
	return func(yield func(*Element, error) bool) {
		e := enumeration{rt: rt, uri: ClassURI(uri), left: DefaultMaxItems, perPull: DefaultMaxElements}
		if o != nil {
			e.options = *o
			e.left = orDefault(o.MaxItems, e.left)
			e.perPull = orDefault(o.MaxElements, e.perPull)
		}
		if limit, ok := rt.(EnumerationLimit); ok {
			end, err := limit.BeginEnumeration(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			defer end()
		}
		stopped := false
		err := e.run(ctx, sel, func(item *Element) bool {
			stopped = !yield(item, nil)
			return !stopped
		})
		if e.context != "" {
			e.release(ctx, err)
		}
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// An enumeration is one run through the instances of a class.
type enumeration struct {
	rt      RoundTripper
	uri     string
	options EnumerateOptions
	perPull int
	left    int    // items that may still come
	empty   int    // answers in a row without items
	context string // that the machine holds for us, "" if none
}

func (e *enumeration) run(ctx context.Context, sel Selectors, yield func(*Element) bool) error {
	answer, err := e.begin(ctx, sel)
	if err != nil {
		return err
	}
	for {
		more, err := e.take(answer, yield)
		if err != nil || !more {
			return err
		}
		pull := Group(NSEnumeration, "Pull",
			El(NSEnumeration, "EnumerationContext", e.context),
			El(NSEnumeration, "MaxElements", strconv.Itoa(e.perPull)))
		answer, err = operate(ctx, e.rt, &Request{Action: ActionPull, ResourceURI: e.uri, Body: &pull})
		if err != nil {
			if isFault(err) {
				e.context = "" // gone with the fault
			}
			return err
		}
	}
}

// begin sends Enumerate, optimized if the machine is not known to refuse that.
func (e *enumeration) begin(ctx context.Context, sel Selectors) (*Element, error) {
	memory, _ := e.rt.(EnumerationMemory)
	if e.options.NoOptimize || memory != nil && memory.RefusesOptimize() {
		return e.enumerate(ctx, sel, false)
	}
	answer, err := e.enumerate(ctx, sel, true)
	if err == nil || !isFault(err) || !mayBeTheOption(err) {
		return answer, err
	}
	answer, plainErr := e.enumerate(ctx, sel, false)
	if plainErr == nil && memory != nil {
		memory.RememberRefusesOptimize()
	}
	return answer, plainErr
}

// mayBeTheOption rules out the faults that have nothing to do with how items are asked for.
func mayBeTheOption(err error) bool {
	for _, other := range []error{
		ErrDestinationUnreachable, ErrAccessDenied, ErrInvalidSelectors, ErrEndpointUnavailable, ErrTimedOut, ErrQuotaLimit,
		ErrFilteringNotSupported, ErrFilterDialect, ErrCannotProcessFilter,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

func (e *enumeration) enumerate(ctx context.Context, sel Selectors, optimize bool) (*Element, error) {
	body := Element{Name: Name{NSEnumeration, "Enumerate"}}
	if e.options.Filter != nil {
		body.Children = append(body.Children, *e.options.Filter)
	}
	if e.options.Mode != "" {
		body.Children = append(body.Children, El(NSWSMan, "EnumerationMode", e.options.Mode))
	}
	if optimize {
		body.Children = append(body.Children,
			Element{Name: Name{NSWSMan, "OptimizeEnumeration"}},
			El(NSWSMan, "MaxElements", strconv.Itoa(e.perPull)))
	}
	return operate(ctx, e.rt, &Request{Action: ActionEnumerate, ResourceURI: e.uri, Selectors: sel, Body: &body})
}

// take yields the items of an EnumerateResponse or PullResponse and tells whether there are more to pull.
func (e *enumeration) take(answer *Element, yield func(*Element) bool) (more bool, err error) {
	ended := answer.Child("EndOfSequence") != nil
	if context := answer.ChildText("EnumerationContext"); context != "" || ended {
		e.context = context // else the old one stays good
	}
	if ended {
		e.context = ""
	}
	count := 0
	if items := answer.Child("Items"); items != nil {
		count = len(items.Children)
		for i := range items.Children {
			if e.left == 0 {
				return false, fmt.Errorf("wsman: %w: more items of %s than expected", ErrTooLong, ClassName(e.uri))
			}
			e.left--
			if !yield(&items.Children[i]) {
				return false, nil
			}
		}
	}
	if ended {
		return false, nil
	}
	if e.context == "" {
		return false, fmt.Errorf("wsman: %s of %s has neither a context nor an end", printable(answer.Local), ClassName(e.uri))
	}
	if count > 0 || answer.Local == "EnumerateResponse" {
		e.empty = 0
	} else if e.empty++; e.empty == maxEmptyPulls {
		return false, fmt.Errorf("wsman: enumeration of %s brings neither items nor an end", ClassName(e.uri))
	}
	return true, nil
}

// release tells the machine to forget the context: it has room for few. Nothing is done about a machine that did not
// answer before, and nothing can be done about an error now.
func (e *enumeration) release(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, ErrTooLong) && !errors.Is(err, context.Canceled) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	body := Group(NSEnumeration, "Release", El(NSEnumeration, "EnumerationContext", e.context))
	e.rt.RoundTrip(ctx, &Request{Action: ActionRelease, ResourceURI: e.uri, Body: &body})
}
