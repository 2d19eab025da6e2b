package firmware

import (
	"context"
	"slices"
	"strconv"

	"github.com/outband/outband/class/model"
	"github.com/outband/outband/wire/wsman"
)

// put changes one instance and returns it as it is then.
func (m *Machine) put(ctx context.Context, ci *classInfo, sel wsman.Selectors, body *wsman.Element) (*wsman.Element, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	v, err := m.find(ci, sel)
	if err != nil {
		return nil, err
	}
	ci = v.class // a Put to a base class changes the instance of the class that it is of
	old := v.element
	if body != nil && len(ci.behaviour.cleared) > 0 {
		old.Children = slices.Clone(old.Children)
		for _, name := range ci.behaviour.cleared {
			if body.Child(name) == nil {
				set(&old, name)
			}
		}
	}
	want, err := ci.merge(&old, body, false)
	if err != nil {
		return nil, err
	}
	if ci.behaviour.onPut != nil {
		if err := ci.behaviour.onPut(ctx, m, &v.element, &want); err != nil {
			return nil, err
		}
	}
	now := ci.instance(want)
	now.hidden = ci.hide(&now.element, v.hidden)
	if v.stored != nil && !m.store.update(ci, v.stored, now) {
		return nil, wsman.ErrInvalidSelectors.With(detailUnexpected)
	}
	if ci.behaviour.after != nil {
		ci.behaviour.after(ctx, m, &v.element, &now.element)
	}
	again, err := m.find(ci, now.keys) // a Put may bind something else
	if err != nil {
		return nil, wsman.ErrInternal
	}
	return &again.element, nil
}

// create adds an instance and returns the reference to it.
func (m *Machine) create(ctx context.Context, ci *classInfo, body *wsman.Element) (*wsman.Element, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	want, err := ci.merge(&wsman.Element{}, body, true)
	if err != nil {
		return nil, err
	}
	if ci.behaviour.onCreate != nil {
		if err := ci.behaviour.onCreate(ctx, m, &want); err != nil {
			return nil, err
		}
	}
	now, err := m.add(ci, want)
	if err != nil {
		return nil, err
	}
	if ci.behaviour.after != nil {
		ci.behaviour.after(ctx, m, nil, &now.element)
	}
	created := now.epr().Element(wsman.NSTransfer, "ResourceCreated")
	return &created, nil
}

// add puts an instance into the store, with keys that are missing or 0 assigned. It fails with the fault AlreadyExists
// if there is one with these keys.
func (m *Machine) add(ci *classInfo, want wsman.Element) (*instance, error) {
	for _, key := range ci.Keys {
		if text := want.ChildText(key); ci.properties[key].Type == model.Ref || text != "" && text != "0" {
			continue
		}
		switch key {
		case "CreationClassName":
			set(&want, key, ci.Name)
		case "SystemCreationClassName":
			set(&want, key, "CIM_ComputerSystem")
		case "SystemName":
			set(&want, key, "Intel(r) AMT")
		default:
			set(&want, key, strconv.FormatUint(uint64(m.store.handle(ci.Name)), 10))
		}
	}
	ci.Order(want.Children)
	now := ci.instance(want)
	now.hidden = ci.hide(&now.element, nil)
	if len(now.keys) != len(ci.Keys) {
		return nil, wsman.ErrSchemaValidation.With("a key is missing")
	}
	list := m.store.of(ci)
	if len(list) >= maxInstances {
		return nil, wsman.ErrQuotaLimit
	}
	for _, other := range list {
		if other.keys.Equal(now.keys) {
			return nil, wsman.ErrAlreadyExists
		}
	}
	m.store.update(ci, nil, now)
	return now, nil
}

// maxInstances is how many instances of one class a client can make.
const maxInstances = 1024

// delete removes one instance.
func (m *Machine) delete(ctx context.Context, ci *classInfo, sel wsman.Selectors) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	v, err := m.find(ci, sel)
	if err != nil {
		return err
	}
	if v.class.behaviour.onDelete != nil {
		if err := v.class.behaviour.onDelete(ctx, m, &v.element); err != nil {
			return err
		}
	}
	if v.stored != nil {
		m.store.update(v.class, v.stored, nil)
	}
	if v.class.behaviour.after != nil {
		v.class.behaviour.after(ctx, m, &v.element, nil)
	}
	return nil
}
