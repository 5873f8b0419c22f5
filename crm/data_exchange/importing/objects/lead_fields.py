"""The fields of a lead that a column can be."""

from typing import Final

from crm.data_exchange.importing.objects.definition import Field

NAMES: Final = ("first_name", "last_name", "full_name")
LEAD_FIELDS: Final = {
    "first_name": Field(
        "First name",
        "firstname givenname forename voornaam roepnaam vorname rufname prenom "
        "nombre nombredepila",
    ),
    "last_name": Field(
        "Last name",
        "lastname surname familyname achternaam nachname familienname zuname "
        "nom nomdefamille apellido apellidos",
    ),
    "full_name": Field(
        "First and last name",
        "name fullname leadname contactname volledigenaam naam vollername "
        "vollstandigername kontaktname nomcomplet nometprenom nombrecompleto "
        "nombreyapellidos",
        unsure="contact lead person persoon",
    ),
    "email": Field(
        "E-mail",
        "email emailaddress mail mailaddress workemail businessemail emailadres "
        "mailadres emailadresse mailadresse courriel adressemail adresseemail "
        "correo correoelectronico direcciondecorreo direccionemail",
    ),
    "phone": Field(
        "Phone",
        "phone phonenumber telephone mobile mobilephone workphone telefoon "
        "telefoonnummer mobiel mobielnummer telefon telefonnummer mobil "
        "mobiltelefon handy handynummer rufnummer tel numerodetelephone "
        "portable telefono numerodetelefono movil celular",
        unsure="number nummer",
    ),
    "organisation": Field(
        "Organisation",
        "organisation organization company companyname account accountname "
        "bedrijf bedrijfsnaam organisatie firma firmenname unternehmen "
        "entreprise societe employer employeur empresa organizacion compania",
    ),
    "title": Field(
        "Job title",
        "jobtitle title position function functie functietitel role beruf "
        "funktion stelle berufsbezeichnung fonction poste intituleduposte cargo "
        "puesto",
    ),
    "source": Field(
        "Source",
        "source leadsource bron herkomst quelle herkunft origine provenance "
        "origen fuente",
        unsure="campaign channel",
    ),
    "type": Field(
        "Type",
        "type leadtype typ tipo soort",
    ),
    "status": Field(
        "Status",
        "status leadstatus statut estado",
    ),
    "owner": Field(
        "Owner",
        "owner leadowner accountowner contactowner salesrep assignedto eigenaar "
        "accountmanager besitzer zustandig proprietaire responsable propietario",
    ),
    "tags": Field(
        "Tags",
        "tags tag labels label etiketten schlagworte schlagworter stichworte "
        "etiquettes motscles etiquetas",
    ),
    "consent": Field(
        "May be shared (yes or no)",
        "consent optin optedin sharewithadplatforms mayshare maybeshared "
        "toestemming einwilligung zustimmung consentement consentimiento",
    ),
    "opted_out": Field(
        "Opted out (yes or no)",
        "optout optedout unsubscribed donotcontact donotshare afgemeld "
        "abgemeldet widerspruch desinscrit desabonne dadodebaja",
    ),
    "notes": Field(
        "Background",
        "background description notes note comment comments remarks opmerking "
        "opmerkingen notitie notities notiz notizen bemerkung bemerkungen "
        "kommentar anmerkung anmerkungen commentaire commentaires remarque "
        "remarques nota notas comentario comentarios observaciones",
    ),
}
