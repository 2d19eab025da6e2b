// Package dump is the file format outband-dump/1: the CIM instances of one machine as JSON that people can read.
// `outband dump` writes it from a real machine; a virtual machine is filled from it, and writes its own state so.
//
//	{
//	  "format": "outband-dump/1",
//	  "host": "desk-7.example",
//	  "taken": "2026-01-31T10:23:04Z",
//	  "version": "16.1.27.2176",
//	  "absent": ["CIM_Battery"],
//	  "instances": {
//	    "CIM_Chip": [
//	      {"CreationClassName": "CIM_Chip", "OperationalStatus": ["0", "2"], "Tag": "CPU 0"}
//	    ]
//	  }
//	}
//
// An instance is an object with its properties in wire order. Values are text, whatever their CIM type; several of one
// name are a list. What is not text is an object with one member:
//
//	{"$ref": {"class": "CIM_ComputerSystem", "selectors": {"Name": "ManagedSystem"}}}
//	{"$datetime": "2024-01-03T00:44:35Z"}
//	{"$interval": "P1DT0H0M0S"}
//	{"$instance": {"class": "CIM_WiFiEndpointSettings", "values": {"SSID": "lab"}}}
//	{"$xml": "<...>"}   anything else, as a document
//
// A reference has a member address as well, unless it is the anonymous one. A class is named without its URI if it is one of AMT_, CIM_ or IPS_, else by its URI. A property that a device does
// not send is not there; an empty text is an empty element. Top-level members of other names are kept as they are: a
// virtual machine has some of its own (see virtual/firmware).
//
// The package knows no class. It keeps namespaces and order; prefixes and white space around values of references are
// not kept. It hides nothing: whoever writes a file decides what may stand in it. Real machines give no password away,
// but serial numbers, names and addresses are in every dump.
package dump
