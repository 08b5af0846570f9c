// Package verify checks X-Auth-Assertion in a Go app. It needs
// go get github.com/golang-jwt/jwt/v5 github.com/MicahParks/keyfunc/v3
//
//	v, err := verify.New(ctx, "https://login.example.com", "app.example.com")
//	http.ListenAndServe(addr, v.Guard(mux)) // verify.User(r) are the claims
//
// The audience is the app's own host as its users know it.
package verify

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

type userKey struct{}

// Verifier knows the gateway's keys and asks for them again in the background.
type Verifier struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

// New asks the gateway for its keys; ctx ends the background work.
func New(ctx context.Context, issuer, audience string) (*Verifier, error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{strings.TrimSuffix(issuer, "/") + "/_auth/jwks.json"})
	if err != nil {
		return nil, err
	}
	return &Verifier{keys, jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), // never what the token itself says
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(10*time.Second),
	)}, nil
}

// Claims says who the user is; an error for anything but an assertion that is good here and now.
func (v *Verifier) Claims(assertion string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(assertion, claims, v.keys.Keyfunc)
	return claims, err
}

// Guard answers 401 to requests without a sound assertion.
func (v *Verifier) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.Header.Values("X-Auth-Assertion")
		if len(shown) == 1 {
			if claims, err := v.Claims(shown[0]); err == nil {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, claims)))
				return
			}
		}
		http.Error(w, "not signed in", http.StatusUnauthorized)
	})
}

// User returns the claims of a request that Guard let through.
func User(r *http.Request) jwt.MapClaims {
	claims, _ := r.Context().Value(userKey{}).(jwt.MapClaims)
	return claims
}
