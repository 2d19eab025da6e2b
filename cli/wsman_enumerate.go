package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// enumerate pulls to the end, unless --step.
func (c *wsmanCall) enumerate(ctx context.Context) (int, error) {
	body, err := c.enumerateBody()
	if err != nil {
		return 0, err
	}
	req, err := c.request(wsman.ActionEnumerate, body)
	if err != nil {
		return 0, err
	}
	if c.opts.has("estimate-count") {
		req.Header = append(req.Header, wsman.Group(wsman.NSWSMan, "RequestTotalItemsCountEstimate"))
	}
	reply, err := c.ask(ctx, req.Append(nil))
	for index := 1; ; index++ {
		if err != nil {
			return 0, err
		}
		if err := c.shown(reply, index-1); err != nil {
			return reply.Status, err
		}
		context := enumContext(reply.Body)
		if reply.Status != http.StatusOK || context == "" || c.opts.has("step") {
			return reply.Status, nil
		}
		if index > maxPulls {
			return 0, fmt.Errorf("%w: more than %d pulls", wsman.ErrTooLong, maxPulls)
		}
		if req, err = c.request(wsman.ActionPull, new(c.pullBody(context))); err != nil {
			return 0, err
		}
		reply, err = c.ask(ctx, req.Append(nil))
	}
}

// enumContext returns the context to go on with, "" at the end.
func enumContext(doc []byte) string {
	answer, err := wsman.ParseResponse(doc)
	if err != nil || answer.Body == nil || answer.Body.Child("EndOfSequence") != nil {
		return ""
	}
	return answer.Body.ChildText("EnumerationContext")
}

func (c *wsmanCall) enumerateBody() (*wsman.Element, error) {
	e := wsman.Group(wsman.NSEnumeration, "Enumerate")
	if filter, err := c.filter(); err != nil {
		return nil, err
	} else if filter != nil {
		e.Children = append(e.Children, *filter)
	}
	if c.opts.has("optimize") {
		e.Children = append(e.Children, wsman.Group(wsman.NSWSMan, "OptimizeEnumeration"))
		n, err := c.opts.number("max-elements", 1<<31-1)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			e.Children = append(e.Children, wsman.El(wsman.NSWSMan, "MaxElements", strconv.Itoa(n)))
		}
	}
	switch mode := c.opts.get("enum-mode"); mode {
	case "":
	case "epr":
		e.Children = append(e.Children, wsman.El(wsman.NSWSMan, "EnumerationMode", "EnumerateEPR"))
	case "objepr":
		e.Children = append(e.Children, wsman.El(wsman.NSWSMan, "EnumerationMode", "EnumerateObjectAndEPR"))
	default:
		return nil, usage("", "--enum-mode: %q is neither epr nor objepr", mode)
	}
	if mode := c.opts.get("binding-enum-mode"); mode != "" {
		names := map[string]string{"none": "None", "include": "IncludeSubClassProperties", "exclude": "ExcludeSubClassProperties"}
		if names[mode] == "" {
			return nil, usage("", "--binding-enum-mode: %q is none of none, include, exclude", mode)
		}
		e.Children = append(e.Children, wsman.El(wsman.NSCIMBinding, "PolymorphismMode", names[mode]))
	}
	return &e, nil
}

// filter builds the wsman:Filter of --filter and --dialect.
func (c *wsmanCall) filter() (*wsman.Element, error) {
	text, dialect := c.opts.get("filter"), c.opts.get("dialect")
	if text == "" {
		return nil, nil
	}
	e := wsman.El(wsman.NSWSMan, "Filter", text)
	if dialect == selectorFilter {
		sel, err := parseQuery(text)
		if err != nil {
			return nil, err
		}
		e = wsman.Group(wsman.NSWSMan, "Filter", sel.Element())
	} else if strings.HasPrefix(text, "<") {
		inner, err := wsman.Parse([]byte(text))
		if err != nil {
			return nil, usage("", "--filter: %w", err)
		}
		e = wsman.Group(wsman.NSWSMan, "Filter", inner)
	}
	if dialect != "" {
		e.Attrs = []wsman.Attr{{Name: wsman.Name{Local: "Dialect"}, Value: dialect}}
	}
	return &e, nil
}

func (c *wsmanCall) pullBody(context string) wsman.Element {
	e := wsman.Group(wsman.NSEnumeration, "Pull", wsman.El(wsman.NSEnumeration, "EnumerationContext", context))
	if n, err := c.opts.number("max-elements", 1<<31-1); err == nil && n > 0 {
		e.Children = append(e.Children, wsman.El(wsman.NSEnumeration, "MaxElements", strconv.Itoa(n)))
	}
	return e
}
