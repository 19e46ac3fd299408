package main

// Mozilla's roots serve where the system has none, as in an image from scratch. They are not used where the system has
// roots, and AWS_CA_BUNDLE replaces both.
import _ "golang.org/x/crypto/x509roots/fallback"
