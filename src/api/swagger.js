// Shows the document beside this page. Nothing is asked of any other host: Swagger UI would have its validator look at it.
window.ui = SwaggerUIBundle({
  url: new URL("api", window.location.href).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  tryItOutEnabled: false,
  validatorUrl: null,
});
