/* The API's page: Swagger UI on #api; a signed-in browser's requests carry its form token. */
(() => {
  "use strict";
  const token = document.querySelector('meta[name="csrf-token"]').content;
  window.SwaggerUIBundle({
    url: document.getElementById("api").dataset.schema,
    dom_id: "#api",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (token) request.headers["X-CSRF-Token"] = token;
      return request;
    },
  });
})();
