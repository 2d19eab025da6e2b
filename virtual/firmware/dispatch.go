package firmware

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A session is a user who speaks WS-Management to a machine. It is a [wsman.Handler].
type session struct {
	m      *Machine
	user   string
	realms RealmSet
}

// ServeWSMan carries one request out.
func (s *session) ServeWSMan(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	if err := s.checkHeader(req); err != nil {
		return nil, err
	}
	ctx = withCaller(ctx, caller{user: s.user, realms: s.realms})
	if hook := s.m.hooks.OnRequest; hook != nil {
		if err := hook(ctx, s.user, req); err != nil {
			return nil, err
		}
	}
	if req.Action == "" {
		return &wsman.Response{Body: s.m.identify()}, nil
	}
	if req.To != "" && !strings.HasSuffix(req.To, "/wsman") {
		return nil, wsman.ErrDestinationUnreachable
	}
	var body *wsman.Element
	var err error
	if req.ResourceURI == wsman.AllClasses {
		body, err = s.allClasses(req)
	} else {
		ci := s.m.class(wsman.ClassName(req.ResourceURI))
		if ci == nil || ci.uri != req.ResourceURI {
			return nil, wsman.ErrDestinationUnreachable.With(faultDetail + "InvalidResourceURI")
		}
		body, err = s.operate(ctx, ci, req)
	}
	if err != nil {
		return nil, asFault(err)
	}
	return &wsman.Response{Body: body}, nil
}

// class returns a class that the machine has, or nil.
func (m *Machine) class(name string) *classInfo {
	m.mu.Lock()
	absent := m.absent[name]
	m.mu.Unlock()
	if absent {
		return nil
	}
	return m.catalogue.classes[name]
}

// understood are the headers that a request may insist upon.
var understood = []string{"FaultTo", "From", "RelatesTo", "IssuedTokens", "Security", "RequestTotalItemsCountEstimate", "RequestEPR"}

// checkHeader holds a request against what every request must be. Source: spec wsman.md section 6, DSP0226 6.
func (s *session) checkHeader(req *wsman.Request) error {
	for i := range req.Header {
		h := &req.Header[i]
		must, _ := h.Attr("mustUnderstand")
		if must != "true" && must != "1" || slices.Contains(understood, h.Local) {
			continue
		}
		if h.Local == "FragmentTransfer" {
			return wsman.ErrUnsupportedFeature.With(faultDetail + "FragmentLevelAccess")
		}
		return &wsman.Fault{Code: "MustUnderstand", Reason: "The WS-Management service cannot comply with the request due to a header which is not understood.", Detail: h.Local}
	}
	if req.MaxEnvelopeSize > 0 && req.MaxEnvelopeSize < minEnvelope {
		return wsman.ErrEncodingLimit.With(faultDetail + "MinimumEnvelopeLimit")
	}
	return nil
}

// minEnvelope is the least MaxEnvelopeSize that a request may ask for. Source: DSP0226 6.2.
const minEnvelope = 8192

// asFault turns an error of a behaviour into what is answered.
func asFault(err error) error {
	var refusal *status.Error
	if errors.As(err, &refusal) {
		return wsman.ErrInternal.With("AMT-STATUS " + strconv.FormatUint(uint64(refusal.Code), 10))
	}
	return err
}

func (s *session) operate(ctx context.Context, ci *classInfo, req *wsman.Request) (*wsman.Element, error) {
	may := func(operation string, need RealmSet) error {
		if !ci.Has(operation) {
			return wsman.ErrActionNotSupported
		}
		if !s.realms.Allows(need) {
			return wsman.ErrAccessDenied
		}
		return nil
	}
	switch req.Action {
	case wsman.ActionGet:
		if err := may("Get", ci.read); err != nil {
			return nil, err
		}
		v, err := s.m.find(ci, req.Selectors)
		if err != nil {
			return nil, err
		}
		return &v.element, nil
	case wsman.ActionPut:
		if err := may("Put", ci.write); err != nil {
			return nil, err
		}
		return s.m.put(ctx, ci, req.Selectors, req.Body)
	case wsman.ActionCreate:
		if err := may("Create", ci.write); err != nil {
			return nil, err
		}
		return s.m.create(ctx, ci, req.Body)
	case wsman.ActionDelete:
		if err := may("Delete", ci.write); err != nil {
			return nil, err
		}
		return nil, s.m.delete(ctx, ci, req.Selectors)
	case wsman.ActionEnumerate:
		if err := may("Enumerate", ci.read); err != nil {
			return nil, err
		}
		return s.enumerate(ci.family, ci.catalogue, req)
	case wsman.ActionPull:
		return s.pull(req)
	case wsman.ActionRelease:
		return s.release(req)
	}
	if strings.HasPrefix(req.Action, wsman.NSTransfer) || strings.HasPrefix(req.Action, wsman.NSEnumeration) || strings.HasPrefix(req.Action, wsman.NSEventing) {
		return nil, wsman.ErrActionNotSupported
	}
	method, ok := strings.CutPrefix(req.Action, req.ResourceURI+"/")
	if !ok {
		return nil, wsman.ErrActionNotSupported
	}
	if ci.methods[method] == nil {
		return nil, wsman.ErrActionNotSupported
	}
	if !s.realms.Allows(ci.realmsFor(method)) {
		return nil, wsman.ErrAccessDenied
	}
	return s.m.invoke(ctx, ci, method, req.Selectors, req.Body)
}

// identify returns the answer to Identify. Source: spec wsman.md section 9.
func (m *Machine) identify() *wsman.Element {
	const ns = wsman.NSIdentity
	e := wsman.Group(ns, "IdentifyResponse",
		wsman.El(ns, "ProtocolVersion", wsman.NSWSMan),
		wsman.El(ns, "ProductVendor", "Intel(r)"),
		wsman.El(ns, "ProductVersion", fmt.Sprintf("AMT %d.%d", m.profile.Release.Major, m.profile.Release.Minor)),
		wsman.El(wsman.NSDASH, "DASHVersion", "1.0.0"),
		wsman.Group(ns, "SecurityProfiles",
			wsman.El(ns, "SecurityProfileName", "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/http/digest")))
	return &e
}
