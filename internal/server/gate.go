package server

import (
	"net/http"
)

// gate answers 503 to everything while the database is damaged, and otherwise is the edge.
func (s *Server) gate() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ready(r.Context()) != nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Amzn-Errortype", "ServiceUnavailableException")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"message":"The database is damaged: the operator must restore a backup.","__type":"ServiceUnavailableException"}` + "\n"))
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}
