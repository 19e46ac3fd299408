package vpc

func dhcpOptions(p Place) string {
	return derivedID("dopt", string(p.Account)+" "+string(p.Region), 17)
}
