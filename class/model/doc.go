// Package model is the class catalogue of Intel AMT: 268 classes of the schemas AMT, CIM and IPS with their properties,
// methods, value tables and example instances. The generator writes the Go types of class/amt, class/cim and class/ips
// from it, and the virtual firmware fills its instance store and judges requests by it.
//
// classes.json is the original: change it by hand, say why in its list "changes", and run go generate ./class/... A
// class holds only what it adds to its parent; [Class.Properties] and [Class.Methods] do so too, [Model.AllProperties]
// and [Model.AllMethods] flatten. Sources are named per class: the vendor's typed wrappers (intel/lms CIM_Framework),
// DMTF CIM 2.42, recorded answers (go-wsman-messages), MeshCentral, MeshCommander. A fact that is a guess carries the
// certainty "likely" or "unknown".
//
// The package knows what classes look like, not what they do, and says nothing about a particular machine. Everything
// it returns is shared and must not be changed.
package model
