package setupbin

import (
	"crypto/subtle"
	"errors"
	"fmt"
)

// Errors of the BIOS end.
var (
	ErrNoRecord = errors.New("no usable record")
	ErrPassword = errors.New("the current password is wrong")
)

// Next returns the index of the record that the next machine takes. The error wraps [ErrNoRecord].
func (f *File) Next() (int, error) {
	first := 0
	if f.Flags&Reusable == 0 {
		first = int(min(uint64(f.Consumed), uint64(len(f.Records))))
	}
	for i := first; i < len(f.Records); i++ {
		if f.Records[i].Usable() {
			return i, nil
		}
	}
	return 0, fmt.Errorf("setupbin: %w: %d records, %d consumed", ErrNoRecord, len(f.Records), f.Consumed)
}

// Consume does what a BIOS does with an inserted key. It takes the next record, compares its current password with the
// machine's, and hands the other variables to apply, in the order of the file; an error of apply ends that, and what
// was applied stays. Then, unless the file is reusable, the record is made invalid and emptied, and counted: write the
// file back if changed is true. Nothing is changed after an error.
//
// Errors wrap [ErrNoRecord], [ErrPassword], or what apply returned.
func (f *File) Consume(password string, apply func(Variable) error) (changed bool, err error) {
	i, err := f.Next()
	if err != nil {
		return false, err
	}
	r := &f.Records[i]
	current, _ := r.Get(CurrentPassword)
	if subtle.ConstantTimeCompare(current, []byte(password)) != 1 {
		return false, fmt.Errorf("setupbin: record %d: %w", i+1, ErrPassword)
	}
	for _, v := range r.Variables {
		if v.ID == CurrentPassword {
			continue
		}
		if err := apply(v); err != nil {
			return false, fmt.Errorf("setupbin: record %d: %s: %w", i+1, v.Name(), err)
		}
	}
	if f.Flags&Reusable != 0 {
		return false, nil
	}
	r.Flags &^= Valid
	r.Variables, r.padding = nil, nil
	f.Consumed++
	return true, nil
}
