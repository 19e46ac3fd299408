// Command winedll writes the library bcryptprimitives.dll, which Go's programs need to start on Windows and Wine before
// 9.0 lacks (Debian 12 has 8.0). It holds no code: its one function, ProcessPrng, is forwarded to the same service under
// an older name, SystemFunction036 of advapi32.dll (RtlGenRandom). It is for `make dist-check` only.
//
//	winedll FILE
//
// Source: Microsoft's "PE Format", the export directory table and its forwarders.
package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "winedll:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: winedll FILE")
	}
	library, err := forwarder("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036")
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], library, 0o600)
}

const (
	fileAlign    = 0x200
	sectionAlign = 0x1000 // where the one section is in memory
	headersEnd   = fileAlign
)

// exports is the export directory table.
type exports struct {
	Characteristics, Time  uint32
	Major, Minor           uint16
	Name, Base             uint32
	Functions, Names       uint32 // how many
	Addresses, Named, Nths uint32 // where
}

// forwarder is a 64-bit library that forwards one function.
func forwarder(name, function, target string) ([]byte, error) {
	// The section: the directory, one address, one name, one ordinal, the strings.
	const directory = 40
	const addresses, names, ordinals, texts = sectionAlign + directory, sectionAlign + directory + 4, sectionAlign + directory + 8, sectionAlign + directory + 10
	nameAt := uint32(texts)
	functionAt := nameAt + uint32(len(name)) + 1
	targetAt := functionAt + uint32(len(function)) + 1
	section, err := pack(
		exports{Name: nameAt, Base: 1, Functions: 1, Names: 1, Addresses: addresses, Named: names, Nths: ordinals},
		targetAt, functionAt, uint16(0), []byte(name+"\x00"+function+"\x00"+target+"\x00"),
	)
	if err != nil {
		return nil, err
	}
	size := uint32(len(section))

	optional := pe.OptionalHeader64{
		Magic: 0x20b, SizeOfInitializedData: fileAlign, ImageBase: 0x1_8000_0000, SectionAlignment: sectionAlign, FileAlignment: fileAlign,
		MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6, SizeOfImage: 2 * sectionAlign, SizeOfHeaders: headersEnd,
		Subsystem: pe.IMAGE_SUBSYSTEM_WINDOWS_CUI, DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT, NumberOfRvaAndSizes: 16,
	}
	// An address within the export directory is a forwarder's, so the directory spans the section.
	optional.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{VirtualAddress: sectionAlign, Size: size}
	const stub = 64 // "MZ", and at its end where the header is
	headers, err := pack(
		[]byte("MZ"), make([]byte, stub-6), uint32(stub), []byte("PE\x00\x00"),
		pe.FileHeader{
			Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(optional)),
			Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_DLL,
		},
		optional,
		pe.SectionHeader32{
			Name: [8]uint8{'.', 'e', 'd', 'a', 't', 'a'}, VirtualSize: size, VirtualAddress: sectionAlign,
			SizeOfRawData: fileAlign, PointerToRawData: headersEnd, Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
		},
	)
	if err != nil {
		return nil, err
	}
	file := make([]byte, headersEnd+fileAlign)
	copy(file, headers)
	copy(file[headersEnd:], section)
	return file, nil
}

// pack lays values out one after another.
func pack(values ...any) ([]byte, error) {
	var b bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
