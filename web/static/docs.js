"use strict";

// The key that was given on the page at /, unless another one is set with "Authorize".
function withKey(request) {
  const key = sessionStorage.getItem("facefit_key");
  const { origin } = new URL(request.url, location.href);
  if (key && origin === location.origin && !request.headers.Authorization && !request.headers["X-API-Key"]) {
    request.headers.Authorization = `Bearer ${key}`;
  }
  return request;
}

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor: withKey,
});
